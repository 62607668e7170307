"""Zero replicas: when the last one may go, and what brings the first one back.

A policy sizes on load, and without a replica there is none that it could read. So it never decides on zero: the time
without any request does, and a request that waits at the activator ends it. One replica is ordered then, however many
wait: what piles up in a cold start says nothing about the load that comes after it. Jobs of spec.async wake an endpoint
as well, with as many replicas as they ask for (jobs.py), and none sleeps before its queue is known to be empty.
"""

from llmendpoint.api.scaling import Scaling
from llmendpoint.scaling.decision import Outcome, Unread
from llmendpoint.scaling.signals import Signals, finite
from llmendpoint.scaling.state import ScalerState


def observed(state: ScalerState, signals: Signals, now: float) -> ScalerState:
    """The state once this tick's requests are noted. What can not be read may have any."""
    return state.changed(active_at=now) if state.active_at is None or _may_be_in_use(state, signals) else state


def idle_until(scaling: Scaling, state: ScalerState) -> float:
    """When the endpoint has been without a request for idleSeconds, if none comes."""
    return (state.active_at if state.active_at is not None else state.seen_at) + scaling.idle_seconds


def may_sleep(scaling: Scaling, state: ScalerState, fewest: int, now: float) -> bool:
    """Whether zero replicas are allowed now and there was no request for long enough.

    Args:
        fewest: the lower bound that holds now.
    """
    return fewest == 0 and state.desired > 0 and now >= idle_until(scaling, state)


def to_sleep(scaling: Scaling) -> Unread:
    """The desire of an endpoint that nobody uses."""
    return Unread(0, f"no request for {scaling.idle_seconds} s (idleSeconds)")


def asleep(signals: Signals) -> tuple[Unread, Outcome]:
    """The desire while no replica is wanted: one as soon as a request waits."""
    if signals.held:
        waiting = "1 waiting request" if signals.held == 1 else f"{signals.held} waiting requests"
        return Unread(1, f"woken by {waiting}", {"held": signals.held}), Outcome.STEADY
    if signals.jobs and signals.jobs.pending:
        return Unread(0, "woken by jobs"), Outcome.STEADY
    if signals.ready and not _is_idle(signals):
        return Unread(1, "requests are served, which one replica at least is for"), Outcome.STEADY
    return Unread(0, "asleep: no request waits"), Outcome.ASLEEP


def _may_be_in_use(state: ScalerState, signals: Signals) -> bool:
    jobs = signals.jobs
    if signals.held > 0 or (jobs and jobs.pending):
        return True
    return state.desired > 0 and (not _is_idle(signals) or (jobs is not None and jobs.backlog is None))


def _is_idle(signals: Signals) -> bool:
    """Whether every ready replica was read twice and had no request then nor in between."""
    if not signals.known or signals.unknown or signals.arrival_rate is None:
        return False
    return not (finite(signals.running) or finite(signals.waiting) or finite(signals.arrival_rate))
