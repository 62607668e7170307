"""The Demand policy: sums that can be redone by hand."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmendpoint.scaling.activity import Activity
from llmendpoint.scaling.bursts import Bursts
from llmendpoint.scaling.correction import Correction
from llmendpoint.scaling.decision import Desire, Replicas
from llmendpoint.scaling.demand import desire
from llmendpoint.scaling.engine_model import EngineModel
from llmendpoint.scaling.scaler import decide
from llmendpoint.scaling.signals import Queue, Signals
from llmendpoint.scaling.state import ScalerState, initial_state
from support.builders import NOW, model_of, scaling

# Half a replica-second per request.
LEARNED = {"model": model_of(0.5, prefill=0.2), "cold_starts": (100.0,)}


def state_with(desired: int = 4, **more: Any) -> ScalerState:
    return replace(initial_state(desired, NOW), **more)


def signals(ready: int = 4, **numbers: Any) -> Signals:
    return Signals(**{"known": ready, "unknown": 0} | numbers)


def asked(state: ScalerState, seen: Signals, **spec: Any) -> Desire:
    return desire(scaling(**spec), state, seen, NOW)[1]


def short(demand: float, objective: float = 2.0 + 1.5 * 0.2, late: float = 0.01) -> float:
    """Replicas that keep waits short, for requests of half a replica-second."""
    variance = 2.0 * demand * 0.5
    return demand / 2 + math.sqrt(demand**2 / 4 + variance * math.log(1 / late) / (2 * objective))


# Demand.


def test_before_anything_is_learned_used_slots_and_cache_are_the_demand() -> None:
    wish = asked(state_with(), signals(occupancy=2.4, arrival_rate=100.0))
    assert (wish.raw, wish.terms["demandMean"], wish.terms["flowReplicas"]) == (3, 2.4, 2.824)
    assert "demand 2.4 replicas (batch slots and KV cache in use) / 0.85 -> 2.8" in wish.why


def test_once_the_cost_is_learned_the_flow_of_requests_is_the_demand() -> None:
    wish = asked(state_with(**LEARNED), signals(occupancy=0.1, arrival_rate=7.0))
    assert (wish.raw, wish.terms["demandMean"]) == (5, 3.5)
    assert wish.terms["flowReplicas"] == pytest.approx(short(3.5), abs=1e-3)
    assert "demand 3.5 replicas (7.0 req/s x 0.5 s); waits of 0.99 within 2 s, corrected x 1.00 -> 4.3" in wish.why


def test_in_the_first_tick_after_a_restart_there_is_no_flow_yet() -> None:
    wish = asked(state_with(**LEARNED), signals(occupancy=1.5, arrival_rate=None))
    assert wish.terms["demandMean"] == 1.5


@pytest.mark.parametrize(("ttft", "budget"), [(2.0, 0.01), (0.5, 0.01), (10.0, 0.01), (2.0, 0.1), (2.0, 0.001)])
def test_the_objective_and_the_error_budget_are_the_settings(ttft: float, budget: float) -> None:
    spec = {"ttftSeconds": ttft, "errorBudget": budget}
    wish = asked(state_with(**LEARNED), signals(arrival_rate=20.0), demand=spec)
    assert wish.terms["flowReplicas"] == pytest.approx(short(10.0, ttft + 0.3, budget), abs=1e-3)


@given(st.floats(0.0, 200.0), st.floats(0.75, 2.0))
def test_no_correction_goes_below_the_work_that_is_offered(rate: float, factor: float) -> None:
    wish = asked(state_with(correction=Correction(factor), **LEARNED), signals(arrival_rate=rate))
    assert wish.terms["flowReplicas"] == pytest.approx(max(factor * short(rate / 2), rate / 2), abs=1e-2)


def points(*values: float) -> tuple[tuple[float, float], ...]:
    """Demand at the ticks before this one, the last one 10 s ago."""
    return tuple((NOW - 10.0 * (len(values) - index), value) for index, value in enumerate(values))


def test_a_jump_up_is_followed_by_the_last_half_minute_as_far_as_it_is_no_noise() -> None:
    """Half a minute of requests of 0.5 s varies by sqrt(2 x D x 0.5 / 30) replicas, and twice that is no news."""
    rising = state_with(demand=points(*[1.0] * 9, *[5.0] * 3), **LEARNED)
    steady = (9 * 1.0 + 4 * 5.0) / 13
    wish = asked(rising, signals(arrival_rate=10.0))
    assert wish.terms["demandMean"] == pytest.approx(5.0 - 2 * math.sqrt(steady / 30), abs=1e-3)


def test_what_may_be_noise_is_no_jump() -> None:
    calm = state_with(demand=points(*[4.0] * 10, *[4.2] * 2), **LEARNED)
    assert asked(calm, signals(arrival_rate=8.4)).terms["demandMean"] == pytest.approx(4.0 + 0.6 / 13, abs=1e-3)


def test_a_jump_down_is_followed_by_the_mean_of_two_minutes() -> None:
    falling = state_with(demand=points(*[5.0] * 9, *[1.0] * 3), **LEARNED)
    assert asked(falling, signals(arrival_rate=2.0)).terms["demandMean"] == pytest.approx(
        (9 * 5.0 + 4 * 1.0) / 13, abs=1e-3
    )


def test_only_the_last_two_minutes_are_kept() -> None:
    old = state_with(demand=((NOW - 121, 9.0), (NOW - 120, 8.0)), **LEARNED)
    after, _ = desire(scaling(), old, signals(arrival_rate=2.0), NOW)
    assert after.demand == ((NOW - 120, 8.0), (NOW, 1.0))


def test_demand_by_flow_and_used_slots_are_never_averaged() -> None:
    known = state_with(demand=points(4.0), **LEARNED)
    restarted, wish = desire(scaling(), known, signals(occupancy=1.5, arrival_rate=None), NOW)
    assert (restarted.demand, wish.terms["demandMean"]) == (known.demand, 1.5)
    unlearned, wish = desire(scaling(), state_with(demand=points(4.0)), signals(occupancy=1.5, arrival_rate=8.0), NOW)
    assert (unlearned.demand, wish.terms["demandMean"]) == ((), 1.5)


# Stuck replicas.


@pytest.mark.parametrize(
    ("what", "queues", "stuck"),
    [
        ("it finishes what it can", [(2.0, 50.0)], 0.0),  # one in half a second
        ("it finishes half of that", [(1.0, 50.0)], 0.5 * (1 + 5 * 0.5 / 4)),
        ("it finishes nothing", [(0.0, 1.0)], 1.0 * (1 + 5 * 1.0 / 4)),
        ("the queue is gone within the objective", [(1.0, 2.0)], 0.0),
        ("two of them", [(0.0, 9.0), (1.0, 9.0), (2.0, 9.0)], 1.5 * (1 + 5 * 1.5 / 4)),
    ],
)
def test_replicas_stuck_with_large_requests_are_replaced(
    what: str, queues: list[tuple[float, float]], stuck: float
) -> None:
    seen = signals(arrival_rate=4.0, queues=tuple(Queue(*queue) for queue in queues))
    wish = asked(state_with(**LEARNED), seen)
    assert wish.terms["stuckReplicas"] == pytest.approx(stuck, abs=1e-3)
    assert wish.raw == math.ceil(short(2.0) + stuck)
    assert ("stuck with large requests" in wish.why) == (stuck > 0)


def test_a_queue_before_anything_is_learned_is_no_stuck_replica() -> None:
    assert asked(state_with(), signals(queues=(Queue(0.0, 9.0),))).terms["stuckReplicas"] == 0.0


# Learning.

ACTIVITY = Activity(
    elapsed=10.0, seconds=10.0, busy_seconds=10.0, steps=300.0, generation_tokens=900.0, finished=9.0,
    finished_generation_tokens=900.0, queued=9.0,
)  # fmt: skip


def learned(activity: Activity | None, policy: dict[str, Any], **state: Any) -> ScalerState:
    seen = signals(running=3.0, kv_usage=0.3, activity=activity)
    return decide(scaling(**policy), state_with(**state), seen, Replicas(4, ordered=4), NOW)[0]


TRACKING: dict[str, Any] = {"policy": "TargetTracking", "targets": [{"type": "WaitingPerReplica", "value": 4}]}


@pytest.mark.parametrize("policy", [{}, TRACKING])
def test_what_replicas_can_do_is_learned_under_every_policy(policy: dict[str, Any]) -> None:
    assert learned(ACTIVITY, policy).model == EngineModel().learned(ACTIVITY, 3.0, 0.3)


def test_waits_and_bursts_are_learned_where_they_are_used() -> None:
    demanding, tracking = learned(ACTIVITY, {}), learned(ACTIVITY, TRACKING)
    assert (demanding.correction, demanding.bursts) == (
        Correction().learned(ACTIVITY, 0.004),
        Bursts().learned(ACTIVITY, ()),
    )
    assert (tracking.correction, tracking.bursts) == (Correction(), Bursts())


@pytest.mark.parametrize("activity", [None, ACTIVITY._replace(steps=math.nan), ACTIVITY._replace(seconds=0.0)])
def test_a_broken_reading_teaches_nothing(activity: Activity | None) -> None:
    after = learned(activity, {})
    assert (after.model, after.correction) == (EngineModel(), Correction())


def test_waits_while_replicas_start_do_not_correct() -> None:
    coming = {"scale_out_at": NOW - 30, "scale_out_to": 6, "desired": 6}
    after = learned(ACTIVITY._replace(late=9.0), {}, **coming)
    assert (after.correction, after.bursts.late) == (Correction(), 9.0), (
        "but for the bursts: starts come too late for them"
    )


# Backlog.


def test_a_backlog_is_told_in_terms_and_words() -> None:
    """500 requests of 0.5 s outlast a start of 100 s on one replica; two replicas are busy with arrivals."""
    wish = asked(state_with(**LEARNED), signals(arrival_rate=4.0, queues=(Queue(2.0, 500.0),)))
    assert (wish.terms["backlogReplicas"], "backlog -> 3.0" in wish.why) == (3.0, True)
    wish = asked(state_with(**LEARNED), signals(arrival_rate=4.0))
    assert (wish.terms["backlogReplicas"], "backlog none" in wish.why) == (0.0, True)


def test_what_is_short_of_demand_piles_up_until_replicas_are_ready() -> None:
    wish = asked(state_with(**LEARNED), signals(2, arrival_rate=8.0))
    assert (wish.terms["backlogReplicas"], wish.raw) == (4.0 + 2 * 2.0, 8)


def test_while_replicas_start_the_queue_asks_for_no_more_than_what_is_on_its_way() -> None:
    coming = state_with(6, scale_out_at=NOW - 30, scale_out_to=6, **LEARNED)
    wish = asked(coming, signals(4, arrival_rate=8.0, queues=(Queue(2.0, 500.0),) * 4))
    assert wish.terms["backlogReplicas"] == 6.0


def test_a_queue_in_front_of_replicas_that_start_at_once_is_decided_on() -> None:
    quick = state_with(**LEARNED | {"cold_starts": (0.0,)})
    wish = asked(quick, signals(4, arrival_rate=8.0, queues=(Queue(2.0, 8.0),)))
    assert wish.terms["backlogReplicas"] == 4.0 + 1.0


def test_a_queue_before_anything_is_learned_is_no_backlog() -> None:
    assert asked(state_with(), signals(queues=(Queue(2.0, 2000.0),), occupancy=4.0)).terms["backlogReplicas"] == 0.0


# Bursts that come again.

BURSTY = Bursts(peaks=(8.0, 30.0, 9.0), queued=100.0, late=20.0)


def test_replicas_are_kept_for_bursts_that_come_again() -> None:
    wish = asked(state_with(bursts=BURSTY, **LEARNED), signals(arrival_rate=4.0))
    assert (wish.terms["burstReplicas"], wish.raw) == (8.0, 8)
    assert wish.why.endswith("backlog none; bursts that come again -> 8.0")
    wish = asked(state_with(**LEARNED), signals(arrival_rate=4.0))
    assert (wish.terms["burstReplicas"], "bursts" in wish.why) == (0.0, False)


# What is reported.


def test_the_readings_and_the_terms_are_given_with_the_wish() -> None:
    seen = signals(running=6.4444, waiting=2.0, kv_usage=None, arrival_rate=math.nan, occupancy=1.0)
    wish = asked(state_with(**LEARNED), seen)
    assert wish.inputs == {
        "arrivalRate": 0.0,
        "running": 6.444,
        "waiting": 2.0,
        "kvUsage": None,
        "podsRead": 4,
        "podsUnread": 0,
        "occupancy": 1.0,
        "slotsPerReplica": 0,
        "readingAgeSeconds": None,
        "awaitingReplicas": False,
        "ttftSeconds": 2.0,
        "errorBudget": 0.01,
    }
    assert wish.terms["prefillSecondsPerRequest"] == pytest.approx(0.2)
    assert wish.terms["decodeSecondsPerRequest"] == pytest.approx(0.3)
    assert (wish.terms["requestsPerFullReplica"], wish.terms["correctionFactor"]) == (1.0, 1.0)
    assert wish.terms["coldStartSeconds"] == 100.0
    assert asked(state_with(), seen).terms["decodeSecondsPerRequest"] is None


def test_noise_in_the_last_digit_orders_no_replica() -> None:
    assert asked(state_with(), signals(occupancy=0.85 * 3.0000004)).raw == 3
    assert asked(state_with(), signals(occupancy=0.85 * 3.001)).raw == 4
