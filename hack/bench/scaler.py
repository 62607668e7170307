"""The scaler's pure functions: one decision per policy, the signals of four pods, the record of a decision."""

from functools import partial
from typing import Any

from bench.figures import Figure, timed
from bench.run import Run
from llmendpoint.api.scaling import Scaling
from llmendpoint.scaling.decision import Decision, Replicas
from llmendpoint.scaling.histogram import Buckets
from llmendpoint.scaling.record import scaling_status
from llmendpoint.scaling.scaler import decide
from llmendpoint.scaling.signals import EngineSample, PodPhase, PodReading, ReadingWindow, derive
from llmendpoint.scaling.state import ScalerState, initial_state

DECIDE_BAR = 50.0
PODS = 4
TICK_SECONDS = 10.0
# A quarter of an hour fills every window that a policy keeps.
TICKS = 90
BUSY_TICKS = 20
START = 1_750_000_000.0
TTFT_BOUNDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160)
POLICIES: dict[str, dict[str, Any]] = {
    "Demand": {},
    "TargetTracking": {"targets": [{"type": "RequestsPerReplicaPerMinute", "value": 170}]},
    "Step": {
        "targets": [{"type": "ConcurrentRequestsPerReplica", "value": 20}],
        "steps": [{"upperBound": 0, "adjustment": -1}, {"lowerBound": 0, "adjustment": 2}],
    },
}


async def measure(_: Run) -> list[Figure]:
    """Each on an endpoint of four replicas whose load was followed for a quarter of an hour."""
    figures = []
    for policy, settings in POLICIES.items():
        scaling = Scaling.model_validate({"minReplicas": PODS, "maxReplicas": PODS, "policy": policy, **settings})
        window, state, decision = _followed(scaling)
        now = START + TICKS * TICK_SECONDS
        signals = derive(window, _readings(TICKS), now)[1]
        replicas = Replicas(ready=PODS, ordered=PODS)
        figures.append(
            timed(f"decide(), {policy}", partial(decide, scaling, state, signals, replicas, now), bar=DECIDE_BAR)
        )
        if policy == "Demand":
            figures += _around(window, state, decision, now)
    return figures


def _around(window: ReadingWindow, state: ScalerState, decision: Decision, now: float) -> list[Figure]:
    readings = _readings(TICKS)
    status = scaling_status(state, decision, None, now)
    return [
        timed("derive(), 4 pods", lambda: derive(window, readings, now)),
        timed("scaling_status(), nothing new", lambda: scaling_status(state, decision, status, now)),
    ]


def _followed(scaling: Scaling) -> tuple[ReadingWindow, ScalerState, Decision]:
    window, state = ReadingWindow(), initial_state(PODS, START)
    replicas = Replicas(ready=PODS, ordered=PODS)
    decision: Decision | None = None
    for tick in range(TICKS):
        now = START + tick * TICK_SECONDS
        window, signals = derive(window, _readings(tick), now)
        state, decision = decide(scaling, state, signals, replicas, now)
    assert decision is not None
    assert decision.desired == PODS
    return window, state, decision


def _readings(tick: int) -> list[PodReading]:
    return [PodReading(f"llama-engine-{pod}", PodPhase.READY, _sample(tick, pod)) for pod in range(PODS)]


def _sample(tick: int, pod: int) -> EngineSample:
    """Two requests per second and pod; in the beginning a third more, with a queue, which teaches what one can do."""
    busy = tick < BUSY_TICKS
    done = 20.0 * tick + 20.0 / 3.0 * min(tick, BUSY_TICKS) + pod
    return EngineSample(
        taken_at=START + tick * TICK_SECONDS,
        running=16.0 + (tick * 7 + pod) % 5,
        waiting=1.0 + pod if busy else 0.0,
        requests_total=done,
        prompt_tokens_total=900.0 * done,
        generation_tokens_total=200.0 * done,
        kv_usage=0.4,
        ttft_buckets=_buckets(done),
    )


def _buckets(done: float) -> Buckets:
    counts = [(float(bound), done * min(bound / 0.5, 1.0)) for bound in TTFT_BOUNDS]
    return (*counts, (float("inf"), done))
