"""Hypothesis strategies for settings, signals and states, wild ones included."""

from hypothesis import strategies as st

from llmendpoint.api.scaling import Scaling
from llmendpoint.scaling.activity import Activity
from llmendpoint.scaling.bursts import Bursts
from llmendpoint.scaling.correction import Correction
from llmendpoint.scaling.decision import Replicas, Room
from llmendpoint.scaling.engine_model import EngineModel
from llmendpoint.scaling.job_queue import Backlog, JobQueue
from llmendpoint.scaling.signals import Queue, Signals
from llmendpoint.scaling.state import ScalerState, Track
from support.builders import NOW, model_of, scaling

TARGETS = {
    "RequestsPerReplicaPerMinute": (1.0, 500.0),
    "ConcurrentRequestsPerReplica": (1.0, 200.0),
    "WaitingPerReplica": (0.5, 50.0),
    "KVCacheUtilization": (0.1, 1.0),
    "TTFTP95Seconds": (0.1, 10.0),
}
STEPS = [{"upperBound": 0, "adjustment": -1}, {"lowerBound": 0, "adjustment": 2}]

wild = st.floats() | st.sampled_from([float("nan"), float("inf"), -float("inf"), -1.0, 0.0, 1e300])
tame = st.floats(0.0, 5000.0)
finite = st.floats(0.0, 1e4)
counts = st.integers(0, 40)


@st.composite
def targets(draw: st.DrawFn) -> dict[str, object]:
    kind = draw(st.sampled_from(sorted(TARGETS)))
    low, high = TARGETS[kind]
    return {"type": kind, "value": draw(st.floats(low, high))}


@st.composite
def settings(draw: st.DrawFn, policies: tuple[str, ...] = ("Demand", "TargetTracking", "Step")) -> Scaling:
    low = draw(st.integers(0, 6))
    policy = draw(st.sampled_from(policies))
    return scaling(
        minReplicas=low,
        maxReplicas=draw(st.integers(max(low, 1), 40)),
        idleSeconds=draw(st.sampled_from([10, 600])),
        policy=policy,
        targets=[] if policy == "Demand" else draw(st.lists(targets(), min_size=1, max_size=3)),
        steps=STEPS if policy == "Step" else [],
        evaluation=draw(st.sampled_from(["Standard", "Fast"])),
        scaleOut={"cooldownSeconds": draw(st.sampled_from([0, 30, 200]))}
        | draw(st.sampled_from([{}, {"maxStep": 1}, {"maxStep": 4}])),
        scaleIn={"cooldownSeconds": draw(st.sampled_from([0, 60, 200]))}
        | draw(st.sampled_from([{}, {"maxStep": 1}, {"disabled": True}, {"holdSeconds": 0}])),
        **draw(st.sampled_from([{}, {"fallback": {"afterSeconds": 30, "replicas": max(low, 1)}}])),
    )


backlogs = st.builds(Backlog, st.integers(0, 10**8), st.integers(0, 10**4), st.floats(0.0, 1e9))
queues = st.builds(JobQueue, st.integers(1, 10**6), st.integers(1, 10**5), st.none() | backlogs)


@st.composite
def signals(
    draw: st.DrawFn, numbers: st.SearchStrategy[float] = wild, unknown: st.SearchStrategy[int] = counts
) -> Signals:
    maybe = st.none() | numbers
    return Signals(
        known=draw(counts),
        unknown=draw(unknown),
        running=draw(numbers),
        waiting=draw(numbers),
        kv_usage=draw(maybe),
        occupancy=draw(numbers),
        slots=draw(st.integers(0, 512)),
        arrival_rate=draw(maybe),
        activity=draw(st.none() | activities(numbers)),
        queues=tuple(draw(st.lists(st.builds(Queue, finite, finite), max_size=3))),
        ttft_p95=draw(maybe),
        held=draw(st.sampled_from([0, 0, 1, 500])),
        jobs=draw(st.none() | queues),
    )


def activities(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[Activity]:
    return st.builds(Activity, **dict.fromkeys(Activity._fields, numbers))


@st.composite
def models(draw: st.DrawFn) -> EngineModel:
    """As they come to be: after some readings."""
    model = EngineModel()
    for activity in draw(st.lists(activities(st.floats(0.0, 500.0)), max_size=6)):
        if activity.is_plausible:
            model = model.learned(activity, draw(st.floats(0.0, 200.0)), draw(st.none() | st.floats(0.0, 9.0)))
    return model


moments = st.none() | st.floats(NOW - 2000, NOW)


@st.composite
def states(draw: st.DrawFn) -> ScalerState:
    past = st.floats(NOW - 900, NOW)
    points = st.lists(st.tuples(past, st.floats(0, 40)), max_size=6).map(lambda some: tuple(sorted(some)))
    return ScalerState(
        desired=draw(counts),
        seen_at=draw(st.floats(NOW - 25, NOW)),
        mode=draw(st.sampled_from(["", "Active", "DryRun", "Off"])),
        scale_out_at=draw(moments),
        scale_out_to=draw(counts),
        scale_out_done_at=draw(moments),
        scale_in_at=draw(moments),
        last_scale_in_at=draw(moments),
        active_at=draw(moments),
        unknown_since=draw(moments),
        at_max_since=draw(moments),
        hold=draw(points),
        demand=draw(points),
        model=draw(st.builds(model_of, st.floats(1e-3, 30.0)) | models()),
        bursts=draw(st.builds(Bursts, st.lists(finite, max_size=6).map(tuple), finite, finite, finite, finite)),
        revision=draw(st.sampled_from(["", "7d4b9c"])),
        correction=draw(st.builds(Correction, st.floats(0.75, 2.0), st.floats(0.0, 599.0), finite, finite)),
        tracks=tuple(draw(st.lists(tracks(), max_size=3))),
        cold_starts=tuple(draw(st.lists(st.floats(1.0, 900.0), max_size=5))),
        reported=tuple(draw(st.lists(st.tuples(st.sampled_from(["Bounds", "HoldWindow"]), counts), max_size=3))),
    )


@st.composite
def tracks(draw: st.DrawFn) -> Track:
    kind = draw(st.sampled_from(sorted(TARGETS)))
    return Track(
        key=f"{kind}:5:",
        period_start=draw(st.floats(NOW - 120, NOW)),
        total=draw(tame),
        replicas=float(draw(counts)),
        readings=draw(st.integers(0, 6)),
        above=draw(st.integers(0, 5)),
        below=draw(st.integers(0, 20)),
        last=draw(st.none() | tame),
    )


@st.composite
def replicas(draw: st.DrawFn) -> Replicas:
    return Replicas(
        ready=draw(counts),
        starting=draw(counts),
        draining=draw(counts),
        unschedulable=draw(counts),
        oldest_unschedulable_age=draw(st.floats(0, 1000)),
        ordered=draw(counts),
        gpus=draw(st.integers(0, 8)),
        is_covered=draw(st.booleans()),
        room=draw(st.none() | st.builds(Room, counts, st.just("the quota"))),
    )
