"""The operator's scaler and the peers on one scenario: each as it is documented, or with its own target tuned."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from llmendpoint.api.scaling import Scaling
from llmendpoint.simulate.knobs import knobs_of, with_values
from llmendpoint.simulate.operator_policy import OperatorPolicy
from llmendpoint.simulate.parallel import Replays
from llmendpoint.simulate.peers import PEERS
from llmendpoint.simulate.peers.lower_bound import lower_bound
from llmendpoint.simulate.peers.peer import Bounds, Peer, Situation
from llmendpoint.simulate.peers.work import least_work
from llmendpoint.simulate.policy import ScalingPolicy
from llmendpoint.simulate.replay import Scenario
from llmendpoint.simulate.results import Result
from llmendpoint.simulate.span import Span
from llmendpoint.simulate.sweep import Run, sweep

DEMAND = "demand"
"""The name of the operator's Demand policy in a comparison."""
OWN_NAMES = {"Demand": DEMAND, "TargetTracking": "target-tracking", "Step": "step"}


@dataclass(frozen=True)
class Contender:
    """One policy of a comparison and its one target."""

    name: str
    target: str
    """What the target is, with the unit."""
    default: float | None
    """None where it is left out."""
    span: Span
    build: Callable[[Scenario, float | None], ScalingPolicy]
    """A fresh policy; None for the default."""


@dataclass(frozen=True)
class Entry:
    """One policy's part of a comparison."""

    result: Result
    tuned: bool
    target: float | None
    """The value of its target in the result."""
    target_name: str
    """What the target is, with the unit."""
    reached: bool
    """Whether the result keeps the service level."""
    runs: Sequence[Run] = ()
    """All runs of the sweep, by target, on the part of the trace that chose; none where it was not tuned."""


@dataclass(frozen=True)
class Comparison:
    """Results by policy name, and what is the same for all of them. Times are in seconds."""

    results: Mapping[str, Entry]
    trace: str
    engine_profile: str
    cold_start: float
    seed: int
    slo_ttft: float
    slo_attainment: float
    choose_on: float
    """Share of the trace, from its start, that the targets were chosen on; the results are of the rest. 0: both are of
    the whole."""
    seconds: float
    """Of the trace that the results are of."""
    lower_bound: float
    """GPU-hours that no policy goes below which serves that share of the requests: see peers/lower_bound.py."""

    @property
    def ranked(self) -> Sequence[tuple[str, Entry]]:
        """Policies that keep the service level, cheapest first, then the others, best attainment first."""

        def rank(item: tuple[str, Entry]) -> tuple[bool, float]:
            entry = item[1]
            return not entry.reached, entry.result.gpu_hours if entry.reached else -entry.result.ttft_attainment

        return sorted(self.results.items(), key=rank)


def compare(
    scenario: Scenario,
    scaling: Scaling,
    *,
    slots: int,
    trace: str,
    slo_attainment: float,
    tuned: bool = False,
    choose_on: float = 0.0,
    jobs: int = 1,
    on_replay: Callable[[], None] = lambda: None,
) -> Comparison:
    """Run all policies on the same scenario, with the bounds and the engine of the endpoint.

    Args:
        slots: requests that one replica works on at once at most.
        trace: what the trace is called.
        tuned: sweep each policy's own target for the cheapest run that keeps the service level.
        choose_on: share of the trace that targets are chosen on; what is reported is then of the rest.
    """
    parts = [part.warm_within(scaling.min_replicas, scaling.max_replicas) for part in split(scenario, choose_on)]
    judge = partial(_tuned if tuned else _default, slo_attainment=slo_attainment)
    with Replays(parts, jobs, on_replay) as replays:
        contenders = contenders_of(scaling, slots)
        entries = replays.map(lambda contender: judge(contender, replays), contenders)
    scored = parts[-1]
    return Comparison(
        results={contender.name: entry for contender, entry in zip(contenders, entries, strict=True)},
        trace=trace,
        engine_profile=scenario.profile.name,
        cold_start=scenario.cold_start,
        seed=scenario.seed,
        slo_ttft=scenario.slo_ttft,
        slo_attainment=slo_attainment,
        choose_on=choose_on,
        seconds=scored.trace.duration,
        lower_bound=bound(scored, scaling.min_replicas, slo_attainment),
    )


def split(scenario: Scenario, choose_on: float) -> list[Scenario]:
    """The part that chooses and the part that is reported; one and the same for 0."""
    if not choose_on:
        return [scenario]
    duration = scenario.trace.duration
    border = choose_on * duration
    # The end is not included, the last arrival is.
    return [scenario.between(0.0, border), scenario.between(border, duration + 1.0)]


def bound(scenario: Scenario, least: int, attainment: float) -> float:
    """GPU-hours that serving that share of the requests takes at least, with never fewer than some replicas."""
    trace, profile = scenario.trace, scenario.profile
    seconds = lower_bound(least_work(trace, profile), trace.duration, least=least, missed=1.0 - attainment)
    return seconds * profile.gpus / 3600.0


def contenders_of(scaling: Scaling, slots: int) -> list[Contender]:
    """The endpoint's own policy, Demand with its defaults where that is another one, and all peers."""
    bounds = Bounds(scaling.min_replicas, scaling.max_replicas)
    own = {scaling.policy: scaling}
    shipped = Scaling(min_replicas=bounds.least, max_replicas=bounds.most)
    operators = {"Demand": shipped, **own}
    return [
        *(_operator(OWN_NAMES[policy], settings, slots) for policy, settings in operators.items()),
        *(_peer(peer, bounds) for peer in PEERS.values()),
    ]


def _operator(name: str, scaling: Scaling, slots: int) -> Contender:
    knob = knobs_of(scaling)[0]

    def build(_: Scenario, target: float | None) -> ScalingPolicy:
        settings = scaling if target is None else with_values(scaling, {knob.path: target})
        return OperatorPolicy(settings, slots=slots)

    return Contender(name, f"scaling.{knob.path}", knob.read(scaling), knob.span, build)


def _peer(peer: Peer, bounds: Bounds) -> Contender:
    def build(scenario: Scenario, target: float | None) -> ScalingPolicy:
        return peer.policy(Situation(bounds, scenario.profile, scenario.trace, scenario.cold_start), target)

    # A count of replicas is only worth trying within the bounds.
    span = peer.sweep.within(bounds.least, bounds.most) if peer.sweep.whole else peer.sweep
    return Contender(peer.name, peer.target, peer.default, span, build)


def _default(contender: Contender, replays: Replays, *, slo_attainment: float) -> Entry:
    result = _replay(contender, replays, len(replays.scenarios) - 1, None)
    return Entry(result, False, contender.default, contender.target, result.ttft_attainment >= slo_attainment)


def _tuned(contender: Contender, replays: Replays, *, slo_attainment: float) -> Entry:
    run = partial(_replay, contender, replays)
    found = sweep(contender.span, slo_attainment, lambda targets: replays.map(partial(run, 0), targets))
    last = len(replays.scenarios) - 1
    result = run(last, found.target) if last else found.result
    reached = result.ttft_attainment >= slo_attainment
    return Entry(result, True, found.target, contender.target, reached, found.runs)


def _replay(contender: Contender, replays: Replays, part: int, target: float | None) -> Result:
    policy = contender.build(replays.scenarios[part], target)
    # A fleet of so many replicas, whatever comes, has them from the start.
    warm = round(target) if contender.span.whole and target else None
    return replays.run(policy, part, warm)
