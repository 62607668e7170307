"""One decision: policy, then rules, then what to remember."""

from collections.abc import Callable
from dataclasses import replace

from llmendpoint.api.scaling import Mode, Scaling
from llmendpoint.api.status import Clamp
from llmendpoint.scaling import cooldown, demand, sleep, step, target_tracking
from llmendpoint.scaling.bursts import Bursts
from llmendpoint.scaling.clamps import RULES, Effect, Situation, hold_seconds, within
from llmendpoint.scaling.cold_start import cold_start_seconds, summary
from llmendpoint.scaling.correction import Correction
from llmendpoint.scaling.decision import Decision, Desire, Outcome, Replicas, Unread
from llmendpoint.scaling.engine_model import EngineModel
from llmendpoint.scaling.jobs import with_jobs
from llmendpoint.scaling.schedules import limits
from llmendpoint.scaling.signals import Signals, finite
from llmendpoint.scaling.state import Point, ScalerState, initial_state

PolicyFunction = Callable[[Scaling, ScalerState, Signals, float], tuple[ScalerState, Desire]]

POLICIES: dict[str, PolicyFunction] = {
    "Demand": demand.desire,
    "TargetTracking": target_tracking.desire,
    "Step": step.desire,
}
# Waits in the queue are less than half of what misses the objective; the rest is cold starts and slow prefill.
GOAL_PER_BUDGET = 0.4
# How long the policy may want more than maxReplicas before somebody is told.
AT_MAX_SECONDS = 600.0


def decide(
    scaling: Scaling, state: ScalerState, signals: Signals, replicas: Replicas, now: float
) -> tuple[ScalerState, Decision]:
    """Decide how many replicas should run. Pure: the same arguments give the same answer.

    Args:
        scaling: spec.scaling. The mode changes nothing here.
        state: what decide() returned last, or scaling.state.decode() of it.
        signals: the readings of this tick.
        replicas: the engine's replicas by state.
        now: seconds since the epoch.
    """
    state = adopted(state.at(now), scaling.mode, replicas.ordered, now)
    state = sleep.observed(cooldown.settle(state, replicas, now), signals, now)
    bounds = limits(scaling, now)
    state, desire, outcome = _ask(scaling, state, signals, bounds.low.replicas, now)
    desire = with_jobs(scaling, state, desire, signals.jobs, now)
    situation = Situation(scaling, state, signals, replicas, now, bounds)
    desired, clamps, holding = _apply_rules(situation, desire.raw)
    if desired != state.desired:
        outcome = Outcome.SCALE_OUT if desired > state.desired else Outcome.SCALE_IN
    elif outcome is Outcome.STEADY and desire.raw != desired:
        outcome = Outcome.HELD
    held = holding if desired != desire.raw else None
    orders = desired > state.desired and desired > replicas.ready + replicas.starting
    wait = cold_start_seconds(state.cold_starts) if orders else None
    decision = Decision(
        time=now,
        current=state.desired,
        desired=desired,
        reason=outcome,
        desire=desire,
        replicas=replicas,
        clamps=clamps,
        holding=clamps[-1] if held else None,
        held_until=held.until if held else None,
        expected_ready=now + wait if wait is not None else None,
    )
    return _remembered(state, situation, decision), decision


def bounded(
    scaling: Scaling, state: ScalerState, replicas: Replicas, now: float
) -> tuple[ScalerState, Decision | None]:
    """Take in bounds that were moved past the count, at once and whatever the engines do. None where they were not.

    A change of the count like any other: what comes next, a scale-in say, finds its cooldown.
    """
    effect = within(limits(scaling, now), state.desired)
    if effect is None:
        return state, None
    clamp = Clamp(name="Bounds", before=state.desired, after=effect.after, detail=effect.detail)
    decision = Decision(
        time=now,
        current=state.desired,
        desired=effect.after,
        reason=Outcome.SCALE_OUT if effect.after > state.desired else Outcome.SCALE_IN,
        desire=Unread(state.desired, "the bounds have moved"),
        replicas=replicas,
        clamps=(clamp,),
        holding=clamp,
        held_until=effect.until,
    )
    return replace(cooldown.scaled(state, effect.after, now), reported=()), decision


def warnings(scaling: Scaling, state: ScalerState, signals: Signals | None, gpus_per_replica: int = 0) -> list[str]:
    """Settings that deserve a look, each with what to do."""
    found = []
    if scaling.max_gpus is not None and scaling.min_replicas * gpus_per_replica > scaling.max_gpus:
        found.append(
            f"maxGPUs {scaling.max_gpus} is less than minReplicas {scaling.min_replicas} take with "
            f"{gpus_per_replica} GPUs each, and they come first: raise it or lower minReplicas"
        )
    learned = summary(state.cold_starts)
    if learned and scaling.scale_in.cooldown_seconds < learned.p50 and not scaling.scale_in.disabled:
        found.append(
            f"scaleIn.cooldownSeconds {scaling.scale_in.cooldown_seconds} is shorter than a cold start "
            f"({learned.p50:.0f} s): replicas may go that take longer to get back; raise it"
        )
    if scaling.min_replicas == scaling.max_replicas and not scaling.schedules:
        found.append(f"minReplicas and maxReplicas are both {scaling.min_replicas}: nothing can scale")
    if state.at_max_since is not None and state.seen_at - state.at_max_since >= AT_MAX_SECONDS:
        minutes = AT_MAX_SECONDS / 60.0  # and not the time since, with which the condition would change for ever
        most = limits(scaling, state.seen_at).high.replicas
        found.append(f"more than maxReplicas {most} has been wanted for over {minutes:.0f} minutes: raise it")
    found.extend(_unreachable_targets(scaling, state, signals))
    return found


def _unreachable_targets(scaling: Scaling, state: ScalerState, signals: Signals | None) -> list[str]:
    found = []
    cost = state.model.cost(signals.slots) if signals else None
    for target in scaling.targets:
        if target.type == "ConcurrentRequestsPerReplica" and signals and 0 < signals.slots < target.value:
            found.append(
                f"target ConcurrentRequestsPerReplica {target.value:g} is above the {signals.slots} requests that a "
                "replica works on at once: the rest only waits; lower it"
            )
        if target.type == "RequestsPerReplicaPerMinute" and cost and target.value > 60.0 / cost.total:
            found.append(
                f"target RequestsPerReplicaPerMinute {target.value:g} is above the {60.0 / cost.total:.0f} that a "
                "replica can finish, by what was learned of its requests: it is never reached; lower it"
            )
    return found


def adopted(state: ScalerState, mode: Mode, running: int, now: float) -> ScalerState:
    """The state in a mode. On a change it starts from what runs, which somebody else may have sized meanwhile.

    What was learned is kept; cooldowns, alarms and the hold window begin afresh.

    Args:
        running: the replicas that are ordered now.
    """
    if state.mode == mode:
        return state
    if not state.mode:
        return replace(state, mode=mode)
    return replace(
        initial_state(running, now),
        mode=mode,
        demand=state.demand,
        model=state.model,
        correction=state.correction,
        bursts=state.bursts,
        cold_starts=state.cold_starts,
    )


def _ask(
    scaling: Scaling, state: ScalerState, signals: Signals, fewest: int, now: float
) -> tuple[ScalerState, Desire, Outcome]:
    """The policy's wish where the readings allow one, and where anybody uses the endpoint."""
    if state.desired == 0:
        return state, *sleep.asleep(signals)
    if signals.ready == 0:
        return (
            state,
            Unread(state.desired, "no replica is ready, so there is nothing to read"),
            Outcome.NO_READY_REPLICAS,
        )
    if signals.known == 0:
        state = state if state.unknown_since is not None else replace(state, unknown_since=now)
        return state, _fallback(scaling, state, now), Outcome.METRICS_UNKNOWN
    state = state if state.unknown_since is None else replace(state, unknown_since=None)
    state, desire = POLICIES[scaling.policy](scaling, state, signals, now)
    if sleep.may_sleep(scaling, state, fewest, now):
        return state, sleep.to_sleep(scaling), Outcome.STEADY
    return state, desire, Outcome.STEADY


def _fallback(scaling: Scaling, state: ScalerState, now: float) -> Desire:
    unknown = now - (state.unknown_since if state.unknown_since is not None else now)
    fallback = scaling.fallback
    if fallback is None or unknown < fallback.after_seconds:
        return Unread(state.desired, f"no replica could be read for {unknown:.0f} s, so the size is kept")
    wanted = max(state.desired, fallback.replicas)
    return Unread(wanted, f"no replica could be read for {unknown:.0f} s: fallback to {fallback.replicas} replicas")


def _apply_rules(situation: Situation, raw: int) -> tuple[int, tuple[Clamp, ...], Effect | None]:
    """The count after all rules, what each did, and the last effect."""
    value, clamps, last = raw, [], None
    for name, rule in RULES:
        effect = rule(situation, value)
        if effect is None or effect.after == value:
            continue
        clamps.append(Clamp(name=name, before=value, after=effect.after, detail=effect.detail))
        value, last = effect.after, effect
    return value, tuple(clamps), last


def _remembered(state: ScalerState, situation: Situation, decision: Decision) -> ScalerState:
    now, raw, bounds = decision.time, decision.raw, situation.limits
    need = bounds.within(raw)
    beyond = raw > bounds.high.replicas
    if decision.desired != decision.current:
        state = replace(cooldown.scaled(state, decision.desired, now), reported=())
    elif decision.held_by:
        state = state.report((decision.held_by, need))
    model, correction, bursts = _learned(state, situation.scaling, situation.signals)
    return state.changed(
        seen_at=now,
        hold=_window(state.hold, (now, float(need)), hold_seconds(situation.scaling, state)),
        at_max_since=(state.at_max_since if state.at_max_since is not None else now) if beyond else None,
        model=model,
        correction=correction,
        bursts=bursts,
    )


def _learned(state: ScalerState, scaling: Scaling, signals: Signals) -> tuple[EngineModel, Correction, Bursts]:
    """What this tick teaches counts from the next one on: more demand now never makes a request look cheaper now."""
    activity, correction, bursts = signals.activity, state.correction, state.bursts
    if activity is None or not activity.is_plausible:
        return state.model, correction, bursts
    if scaling.policy == "Demand":
        bursts = bursts.learned(activity, [value for _, value in state.demand])
        # Waits while replicas start are the cold start's, and more of them would not have come sooner.
        if not state.awaiting:
            correction = correction.learned(activity, GOAL_PER_BUDGET * scaling.demand.error_budget)
    usage = None if signals.kv_usage is None else finite(signals.kv_usage, most=1e6)
    return state.model.learned(activity, finite(signals.running), usage), correction, bursts


def _window(points: tuple[Point, ...], new: Point, seconds: float) -> tuple[Point, ...]:
    """The window's candidates for its maximum: an older need that is not larger can never be it again."""
    alive = [point for point in points if new[0] - point[0] < seconds and point[1] > new[1]]
    return (*alive, new)
