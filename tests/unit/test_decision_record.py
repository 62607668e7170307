"""What status.scaling says of a decision, and when it is written."""

import math
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from llmendpoint.api.status import ScalingStatus
from llmendpoint.scaling.decision import Decision, Replicas
from llmendpoint.scaling.record import scaling_status, tells_of_hold
from llmendpoint.scaling.scaler import decide
from llmendpoint.scaling.signals import PodPhase, PodReading, ReadingWindow, Signals, derive
from llmendpoint.scaling.state import initial_state
from support.builders import NOW, decision, model_of, sample, scaling

REQUESTS = {"policy": "TargetTracking", "targets": [{"type": "RequestsPerReplicaPerMinute", "value": 600}]}


def decided(running: int, **spec: object) -> Decision:
    """The decision after three minutes of constant load on three replicas that finish 2 requests/s each."""
    settings = scaling(scaleIn={"holdSeconds": 0, "cooldownSeconds": 0}, evaluation="Fast", **spec)
    model = model_of(0.25, prefill=0.1)
    state = initial_state(3, NOW - 1000)
    window = ReadingWindow()
    for tick in range(20):
        now, done = NOW + 10.0 * tick, 20 * tick
        taken = sample(now - 2, running=running, requests_total=done, kv_usage=0.1)
        readings = [PodReading(pod, PodPhase.READY, taken) for pod in "abc"]
        window, signals = derive(window, readings, now, slots=16)
        state, made = decide(
            settings, replace(state, desired=3, model=model), signals, Replicas(ready=3, ordered=3), now
        )
    return made


def test_the_sum_of_demand_can_be_redone_from_the_record() -> None:
    found = decided(running=12)
    inputs, terms = found.inputs, found.terms
    seconds = terms["prefillSecondsPerRequest"] + terms["decodeSecondsPerRequest"]
    demand = inputs["arrivalRate"] * seconds
    assert terms["demandMean"] == pytest.approx(demand)
    assert (terms["demandSteady"], terms["demandRecent"]) == (pytest.approx(demand), pytest.approx(demand))
    objective = inputs["ttftSeconds"] + 1.5 * terms["prefillSecondsPerRequest"]
    variance = 2.0 * demand * seconds
    late = math.log(1 / inputs["errorBudget"])
    short = demand / 2 + math.sqrt(demand**2 / 4 + variance * late / (2 * objective))
    assert terms["shortWaitReplicas"] == pytest.approx(short, abs=1e-3)
    assert terms["flowReplicas"] == pytest.approx(short * terms["correctionFactor"], abs=1e-3)
    assert (terms["lostReplicas"], terms["stuckReplicas"]) == (0.0, 0.0)
    flow = terms["flowReplicas"] + terms["stuckReplicas"]
    assert found.raw == math.ceil(max(flow, terms["backlogReplicas"])) == 2
    assert inputs["occupancy"] == pytest.approx(inputs["running"] / inputs["slotsPerReplica"])
    assert inputs["readingAgeSeconds"] == 2.0


@pytest.mark.parametrize("policy", [{}, REQUESTS], ids=["demand", "target-tracking"])
def test_the_rule_that_keeps_what_is_full_can_be_redone_from_the_record(policy: dict[str, object]) -> None:
    found = decided(running=13, **policy)
    assert found.raw < found.desired
    assert (found.held_by, found.desired) == ("Consolidation", math.ceil(found.inputs["occupancy"] / 0.85))
    assert found.inputs["readingAgeSeconds"] == 2.0


def statuses(load: float, ticks: int) -> Iterator[tuple[Decision, ScalingStatus | None, ScalingStatus]]:
    """Decisions with the status before and after each, under random arrivals that keep so many replicas busy."""
    chance, status = random.Random(1), None
    state = replace(initial_state(5, NOW), model=model_of(0.25))
    for tick in range(ticks):
        now = NOW + 10.0 * tick
        arrivals = sum(chance.random() < 1 / 3 for _ in range(int(load * 120)))
        signals = Signals(
            state.desired, 0, running=load * 8, kv_usage=load * 0.3, occupancy=load * 0.3, arrival_rate=arrivals / 10
        )
        state, made = decide(scaling(maxReplicas=20), state, signals, Replicas(state.desired), now)
        before, status = status, scaling_status(state, made, status, now)
        yield made, before, status


@pytest.mark.parametrize("load", [3.0, 3.4, 3.8, 4.2, 4.5])
def test_noise_of_a_steady_load_is_neither_written_nor_told_again_and_again(load: float) -> None:
    hour = list(statuses(load, 720))[360:]
    changes = sum(made.desired != made.current for made, _, _ in hour)
    written = [(before, after) for _, before, after in hour if after is not before]
    told = sum(tells_of_hold(after, before) for before, after in written)
    assert len(written) <= 3 * changes + 6
    assert told <= changes + 2


def test_a_hold_is_told_when_its_rule_or_its_count_is_new_since_the_last_change() -> None:
    state, status, told = initial_state(4, NOW), None, []
    holds = [None, ("HoldWindow", 3), None, ("HoldWindow", 3), ("HoldWindow", 2), ("Bounds", 3), ("HoldWindow", 2)]
    for index, held in enumerate(holds):
        now = NOW + 700.0 * index
        state = state.report(held) if held else state
        made = decision(now, 4, raw=held[1] if held else 4, held_by=held[0] if held else None)
        before, status = status, scaling_status(state, made, status, now)
        told.append(tells_of_hold(status, before))
    assert told == [False, True, False, False, True, True, False]


def test_a_change_of_the_size_makes_every_hold_new() -> None:
    state = replace(initial_state(2, NOW), reported=(("HoldWindow", 1),))
    full = Signals(2, 0, running=500.0, occupancy=20.0)
    after, made = decide(scaling(), state, full, Replicas(2), NOW + 10)
    assert made.desired > 2
    assert after.reported == ()
