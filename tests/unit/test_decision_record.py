"""What status.scaling says of a decision, and when it is written."""

import math
from dataclasses import replace

import pytest

from llmendpoint.scaling.decision import Decision, Replicas
from llmendpoint.scaling.scaler import decide
from llmendpoint.scaling.signals import PodPhase, PodReading, ReadingWindow, derive
from llmendpoint.scaling.state import initial_state
from support.builders import NOW, sample, scaling

REQUESTS = {"policy": "TargetTracking", "targets": [{"type": "RequestsPerReplicaPerMinute", "value": 600}]}


def decided(running: int, tokens: float = 50.0, **spec: object) -> Decision:
    """The decision after three minutes of constant load on three replicas that finish 2 requests/s each."""
    settings = scaling(scaleIn={"holdSeconds": 0, "cooldownSeconds": 0}, evaluation="Fast", **spec)
    state = replace(initial_state(3, NOW - 1000), capacity=200.0, work_per_request=tokens)
    window = ReadingWindow()
    for tick in range(20):
        now, done = NOW + 10.0 * tick, 20 * tick
        taken = sample(
            now - 2, running=running, requests_total=done, generation_tokens_total=tokens * done, kv_usage=0.1
        )
        readings = [PodReading(pod, PodPhase.READY, taken) for pod in "abc"]
        window, signals = derive(window, readings, now, slots=16)
        state, decision = decide(settings, replace(state, desired=3), signals, Replicas(ready=3, ordered=3), now)
    return decision


def test_the_sum_of_demand_can_be_redone_from_the_record() -> None:
    found = decided(running=12)
    inputs, terms = found.inputs, found.terms
    demand = inputs["arrivalRate"] * terms["weightedTokensPerRequest"] / terms["capacityTokensPerSecond"]
    assert terms["demandMean"] == pytest.approx(demand)
    assert terms["flowReplicas"] == pytest.approx((demand + 2.0 * terms["demandSpread"]) / 0.9, abs=1e-3)
    assert found.raw == math.ceil(max(terms["flowReplicas"], terms["backlogReplicas"], terms["kvReplicas"])) == 2
    assert inputs["occupancy"] == pytest.approx(inputs["running"] / inputs["slotsPerReplica"])
    assert inputs["readingAgeSeconds"] == 2.0


@pytest.mark.parametrize("policy", [{}, REQUESTS], ids=["demand", "target-tracking"])
def test_the_rule_that_keeps_what_is_full_can_be_redone_from_the_record(policy: dict[str, object]) -> None:
    found = decided(running=13, **policy)
    assert found.raw < found.desired
    assert (found.held_by, found.desired) == ("Consolidation", math.ceil(found.inputs["occupancy"] / 0.85))
    assert found.inputs["readingAgeSeconds"] == 2.0
