"""The thirteen laws of the scaler; each is a bug that some autoscaler has or had."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llmendpoint.api.scaling import Scaling
from llmendpoint.scaling.clamps import hold_seconds
from llmendpoint.scaling.decision import Outcome, Replicas
from llmendpoint.scaling.job_queue import Backlog, JobQueue
from llmendpoint.scaling.scaler import decide
from llmendpoint.scaling.signals import PodPhase, PodReading, ReadingWindow, Signals, derive
from llmendpoint.scaling.state import ScalerState, Track, decode, encode, initial_state
from support import strategies as some
from support.builders import NOW, sample, scaling
from support.world import World

# Coverage more than doubles their time, and the unit tests cover all that they run.
pytestmark = pytest.mark.no_cover

CONCURRENCY = {"policy": "TargetTracking", "targets": [{"type": "ConcurrentRequestsPerReplica", "value": 10}]}
REQUESTS = {"policy": "TargetTracking", "targets": [{"type": "RequestsPerReplicaPerMinute", "value": 120}]}
WAITING = {"policy": "TargetTracking", "targets": [{"type": "WaitingPerReplica", "value": 4}]}
FAST = {"evaluation": "Fast"}
TARGETS = [CONCURRENCY | FAST, REQUESTS, REQUESTS | FAST, WAITING | FAST]
NAMES = ["concurrency-fast", "requests", "requests-fast", "waiting-fast"]
TRACKING = pytest.mark.parametrize("policy", TARGETS, ids=NAMES)
POLICIES = pytest.mark.parametrize("policy", [{}, *TARGETS], ids=["demand", *NAMES])


# 1. min <= desired <= max, whatever the inputs.
@given(some.settings(), some.states(), some.signals(), some.replicas())
def test_desired_is_always_within_bounds(
    spec: Scaling, state: ScalerState, signals: Signals, replicas: Replicas
) -> None:
    after, decision = decide(spec, state, signals, replicas, NOW)
    assert spec.min_replicas <= decision.desired <= spec.max_replicas
    assert after.desired == decision.desired
    json.dumps(encode(after), allow_nan=False)  # and it can be written into a status
    json.dumps([dict(decision.inputs), dict(decision.terms)], allow_nan=False)


@given(some.settings(), st.integers(1, 60), some.states(), some.signals(), some.replicas())
def test_a_budget_is_kept_where_the_bounds_allow_it(
    spec: Scaling, most: int, state: ScalerState, signals: Signals, replicas: Replicas
) -> None:
    state = replace(state, mode=spec.mode)
    desired = decide(spec.model_copy(update={"max_gpus": most}), state, signals, replicas, NOW)[1].desired
    assert desired <= spec.min_replicas or desired * replicas.gpus <= most
    if replicas.room and desired > state.desired:
        assert desired <= max(replicas.room.replicas, spec.min_replicas)


# 2. Unknown or partial never scales in; idle zero is not unknown.
@given(some.settings(), some.states(), some.signals(unknown=st.integers(1, 40)), some.replicas())
def test_unread_replicas_never_scale_in(
    spec: Scaling, state: ScalerState, signals: Signals, replicas: Replicas
) -> None:
    state = replace(state, mode=spec.mode)
    _, decision = decide(spec, state, signals, replicas, NOW)
    assert decision.desired >= min(state.desired, spec.max_replicas)


@given(st.integers(2, 20))
@settings(max_examples=10)
def test_idle_zero_scales_in(most: int) -> None:
    world = World(scaling(maxReplicas=20, scaleIn={"cooldownSeconds": 0}), load=lambda _: 0.0)
    world.state = replace(world.state, desired=most)
    decisions = list(world.run(1800))
    assert decisions[-1].desired == 1


# 3. Starting replicas are capacity: orders stop although the start takes for ever.
@POLICIES
@given(st.floats(2.0, 30.0), st.floats(300.0, 1500.0))
@settings(max_examples=8)
def test_a_scale_out_is_ordered_once(policy: dict[str, object], load: float, cold_start: float) -> None:
    world = World(scaling(maxReplicas=60, **policy), load=lambda _: load, cold_start=cold_start)
    decisions = list(world.run(cold_start - 10))
    # Two minutes until a cost is learned, and two for the mean.
    settled = [decision.desired for decision in decisions if decision.time >= 300]
    assert len(set(settled)) <= 1, settled


@pytest.mark.parametrize("policy", [{}, REQUESTS], ids=["demand", "requests"])
@given(st.floats(2.0, 30.0), st.floats(300.0, 1500.0))
@settings(max_examples=8)
def test_a_slow_start_orders_no_more_than_the_load_needs(
    policy: dict[str, object], load: float, cold_start: float
) -> None:
    """Demand adds what clears in half a start that which piles up in one: three times the load, however slow it is."""
    world = World(scaling(maxReplicas=500, **policy), load=lambda _: load, cold_start=cold_start)
    most = max(decision.desired for decision in world.run(cold_start - 10))
    needed = load * 60 / 120 if policy else 3.0 * load / world.capacity / 0.9
    assert most <= math.ceil(1.25 * needed) + 1


# 4. An unschedulable replica is not capacity for ever.
def test_an_unschedulable_replica_does_not_freeze_the_scaler() -> None:
    load = {"now": 12.0}
    spec = scaling(maxReplicas=10, scaleOut={"cooldownSeconds": 200}, scaleIn={"cooldownSeconds": 60})
    world = World(spec, load=lambda _: load["now"], unschedulable_above=2)
    assert max(decision.desired for decision in world.run(900)) > 2
    load["now"] = 0.5
    assert list(world.run(3600))[-1].desired == 1


# 5. Cooldowns.
@st.composite
def staircases(draw: st.DrawFn) -> list[float]:
    return draw(st.lists(st.floats(0.0, 40.0), min_size=3, max_size=8))


@POLICIES
@given(staircases(), st.sampled_from([30, 120, 300]), st.sampled_from([30, 120, 300]))
@settings(max_examples=10)
def test_cooldowns_hold(policy: dict[str, object], levels: list[float], out: int, in_: int) -> None:
    spec = scaling(maxReplicas=30, scaleOut={"cooldownSeconds": out}, scaleIn={"cooldownSeconds": in_}, **policy)
    world = World(spec, load=lambda at: levels[int(at // 900) % len(levels)])
    last_in: float | None = None
    before = world.state
    for decision in world.run(900.0 * len(levels)):
        if decision.desired < decision.current:
            assert last_in is None or decision.time - last_in >= in_
            assert before.scale_out_done_at is None or decision.time - before.scale_out_done_at >= out
            last_in = decision.time
        elif decision.desired > decision.current:
            last_in = None  # a scale-out cancels it
            cooling = before.scale_out_done_at is not None and decision.time - before.scale_out_done_at < out
            assert not cooling or decision.desired > before.scale_out_to
        before = world.state


# 6. A restart at any tick yields the same future.
@given(some.settings(), some.states(), some.signals(), some.replicas(), some.signals(), some.replicas())
def test_a_restart_changes_nothing(
    spec: Scaling, state: ScalerState, first: Signals, at_first: Replicas, second: Signals, at_second: Replicas
) -> None:
    kept, _ = decide(spec, state, first, at_first, NOW)
    restored = decode(json.loads(json.dumps(encode(kept))), at_first.ordered, NOW + 10)
    assert restored == kept
    assert decide(spec, restored, second, at_second, NOW + 10) == decide(spec, kept, second, at_second, NOW + 10)


@given(some.settings(), some.states(), some.signals(st.floats(0, 2), st.just(0)), some.replicas(), st.floats(40, 5000))
def test_a_restart_with_an_old_record_scales_in_no_sooner(
    spec: Scaling, state: ScalerState, signals: Signals, replicas: Replicas, age: float
) -> None:
    assume(spec.policy != "Demand" or hold_seconds(spec, state) > 0)
    tracks = tuple(
        Track(f"{target.type}:{target.value:g}:", NOW - 10, total=0.0, replicas=1.0, readings=1, below=20, last=0.0)
        for target in spec.targets
    )
    state = replace(state, mode=spec.mode, scale_out_at=None, seen_at=NOW, tracks=tracks)
    restored = decode(json.loads(json.dumps(encode(state))), replicas.ordered, NOW + age)
    _, decision = decide(spec, restored, signals, replicas, NOW + age)
    assert decision.desired >= min(state.desired, spec.max_replicas)


# 7. More demand never yields fewer replicas.
@given(some.settings(), some.states(), some.signals(some.tame, st.integers(0, 3)), some.replicas(), st.floats(1, 10))
def test_more_demand_never_yields_fewer(
    spec: Scaling, state: ScalerState, signals: Signals, replicas: Replicas, factor: float
) -> None:
    def scaled(value: float | None) -> float | None:
        return None if value is None else value * factor

    more = replace(
        signals,
        running=signals.running * factor,
        waiting=signals.waiting * factor,
        kv_usage=scaled(signals.kv_usage),
        occupancy=signals.occupancy * factor,
        arrival_rate=scaled(signals.arrival_rate),
        ttft_p95=scaled(signals.ttft_p95),
    )
    assume(spec.policy != "Step" or more.ready == signals.ready)
    assert decide(spec, state, more, replicas, NOW)[1].desired >= decide(spec, state, signals, replicas, NOW)[1].desired


# 8. The hold window takes the maximum; a replica that is never ready does not block scale-in for ever.
@given(st.lists(st.integers(1, 9), min_size=5, max_size=30))
@settings(max_examples=30)
def test_the_hold_window_keeps_the_highest_need(needs: list[int]) -> None:
    spec = scaling(scaleIn={"cooldownSeconds": 0, "holdSeconds": 300})
    state = initial_state(1, NOW)
    history: list[tuple[float, int]] = []
    for index, need in enumerate(needs):
        now = NOW + 400 + 60 * index
        signals = Signals(known=9, unknown=0, occupancy=float(need))
        before = state
        state, decision = decide(spec, state, signals, Replicas(ready=9, ordered=9), now)
        history.append((now, decision.raw))
        recent = [seen for at, seen in history if now - at < 300]
        assert decision.desired >= min(max(recent), before.desired, 10)


def test_a_replica_that_is_never_ready_does_not_block_scale_in() -> None:
    load = {"now": 7.0}
    world = World(scaling(), load=lambda _: load["now"], cold_start=1e9)
    list(world.run(600))
    assert world.state.desired > 1
    load["now"] = 0.2
    assert list(world.run(3600))[-1].desired == 1


# 9. Doubling pods and load doubles the answer. Engines count whole requests: less than 1e-9 is taken for nothing, and
# twice as much may not be.
@given(
    st.lists(
        st.tuples(st.integers(0, 16), st.integers(0, 50), st.integers(0, 100).map(lambda percent: percent / 100)),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([CONCURRENCY, WAITING, {}]),
)
def test_doubling_replicas_and_load_doubles_the_answer(
    engines: list[tuple[float, float, float]], policy: dict[str, object]
) -> None:
    spec = scaling(maxReplicas=1000, evaluation="Fast", **policy)
    single, double = (_asked(spec, engines * times) for times in (1, 2))
    assert double in {2 * single, 2 * single - 1}


def _asked(spec: Scaling, engines: list[tuple[float, float, float]]) -> int:
    state, window = initial_state(len(engines), NOW), ReadingWindow()
    for tick in range(17):  # the alarm for scale-in wants 15 points
        now = NOW + 10.0 * tick
        readings = [
            PodReading(f"pod-{index}", PodPhase.READY, sample(now, running=running, waiting=waiting, kv_usage=kv))
            for index, (running, waiting, kv) in enumerate(engines)
        ]
        window, signals = derive(window, readings, now, slots=16)
        counts = Replicas(ready=len(engines), ordered=len(engines))
        state, decision = decide(spec, replace(state, desired=len(engines)), signals, counts, now)
    return decision.raw


# 10. Constant load settles.
def settles(policy: dict[str, object], load: float, cold_start: float, hours: int) -> None:
    world = World(scaling(maxReplicas=30, **policy), load=lambda _: load, cold_start=cold_start)
    list(world.run(hours * 3600))
    assert len({decision.desired for decision in world.run(3600)}) == 1


@TRACKING
@given(st.floats(0.0, 40.0), st.floats(20.0, 400.0))
@settings(max_examples=10)
def test_constant_load_settles(policy: dict[str, object], load: float, cold_start: float) -> None:
    settles(policy, load, cold_start, 3)


@given(st.floats(0.0, 40.0), st.floats(20.0, 400.0))
@settings(max_examples=5)
def test_constant_load_settles_once_the_correction_has(load: float, cold_start: float) -> None:
    """Which goes from one bound to the other within a day."""
    settles({}, load, cold_start, 22)


# 11. DryRun computes exactly what Active would.
@given(some.settings(), some.states(), some.signals(), some.replicas())
def test_dry_run_decides_as_active(spec: Scaling, state: ScalerState, signals: Signals, replicas: Replicas) -> None:
    active, dry = (
        decide(spec.model_copy(update={"mode": mode}), replace(state, mode=mode), signals, replicas, NOW)
        for mode in ("Active", "DryRun")
    )
    assert active[1] == dry[1]
    assert replace(active[0], mode="") == replace(dry[0], mode="")


# 12. Zero needs somebody who holds requests, and one that waits ends it.
@given(some.settings(), some.states(), some.signals(), some.replicas())
def test_no_request_is_turned_away_by_zero(
    spec: Scaling, state: ScalerState, signals: Signals, replicas: Replicas
) -> None:
    state = replace(state, mode=spec.mode)
    desired = decide(spec, state, signals, replicas, NOW)[1].desired
    has_gone_to_sleep = state.desired > 0 and desired == 0
    jobs = signals.jobs
    assert not has_gone_to_sleep or (replicas.is_covered and not signals.held and not signals.unknown)
    assert not has_gone_to_sleep or jobs is None or (jobs.backlog is not None and not jobs.pending)
    has_room = replicas.room is None or replicas.room.replicas > 0
    assert desired > 0 or not (signals.held or (jobs and jobs.pending)) or not has_room


# 13. Jobs that nobody could count never scale in, and more of them never yield fewer replicas.
@given(some.settings(), some.states(), some.signals(unknown=st.just(0)), some.replicas(), some.queues)
def test_unknown_jobs_never_scale_in(
    spec: Scaling, state: ScalerState, signals: Signals, replicas: Replicas, jobs: JobQueue
) -> None:
    state, signals = replace(state, mode=spec.mode), replace(signals, jobs=replace(jobs, backlog=None))
    desired = decide(spec, state, signals, replicas, NOW)[1].desired
    assert desired >= min(state.desired, spec.max_replicas)


@given(
    some.settings(), some.states(), some.signals(), some.replicas(), some.queues, st.integers(0, 1000),
    st.integers(0, 1000), st.floats(0.0, 1000.0),
)  # fmt: skip
def test_more_jobs_never_yield_fewer(
    spec: Scaling, state: ScalerState, signals: Signals, replicas: Replicas, jobs: JobQueue, queued: int,
    in_progress: int, seconds: float,
) -> None:  # fmt: skip
    known = jobs.backlog or Backlog(0, 0, 0.0)
    more = Backlog(known.queued + queued, known.in_progress + in_progress, known.oldest_seconds + seconds)
    few, many = (
        decide(spec, state, replace(signals, jobs=replace(jobs, backlog=backlog)), replicas, NOW)[1].desired
        for backlog in (known, more)
    )
    assert many >= few


def test_the_outcomes_are_told_apart() -> None:
    counts = Replicas(ready=2, ordered=2)
    state = initial_state(2, NOW)
    nothing = decide(scaling(), state, Signals(0, 2), counts, NOW)[1]
    none_ready = decide(scaling(), state, Signals(0, 0), Replicas(0), NOW)[1]
    idle = decide(scaling(), state, Signals(2, 0), counts, NOW)[1]
    assert [nothing.reason, none_ready.reason, idle.reason] == [
        Outcome.METRICS_UNKNOWN,
        Outcome.NO_READY_REPLICAS,
        Outcome.HELD,
    ]
