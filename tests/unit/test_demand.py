"""The Demand policy: sums that can be redone by hand."""

import math
from dataclasses import replace
from typing import Any

import pytest

from llmendpoint.scaling.decision import Desire
from llmendpoint.scaling.demand import desire
from llmendpoint.scaling.signals import Signals
from llmendpoint.scaling.state import ScalerState, initial_state
from support.builders import NOW, scaling

PLAIN = {"demand": {"utilization": 1.0, "headroom": 0}}
# A replica makes 1000 tokens a second, a request takes 500: half a replica-second per request.
LEARNED = {"capacity": 1000.0, "work_per_request": 500.0, "cold_starts": (100.0,)}


def state_with(desired: int = 4, **more: Any) -> ScalerState:
    return replace(initial_state(desired, NOW), **more)


def signals(ready: int = 4, **numbers: Any) -> Signals:
    return Signals(**{"known": ready, "unknown": 0} | numbers)


def asked(state: ScalerState, seen: Signals, spec: dict[str, Any] = PLAIN) -> Desire:
    return desire(scaling(**spec), state, seen, NOW)[1]


# Demand.


def test_before_anything_is_learned_used_slots_and_cache_are_the_demand() -> None:
    wish = asked(state_with(), signals(occupancy=2.4, arrival_rate=100.0))
    assert (wish.raw, wish.terms["demandMean"]) == (3, 2.4)
    assert "demand 2.4 ± 0.0 replicas (batch slots and KV cache in use)" in wish.why


def test_once_capacity_is_learned_the_flow_of_requests_is_the_demand() -> None:
    wish = asked(state_with(**LEARNED), signals(occupancy=0.1, arrival_rate=7.0))
    assert (wish.raw, wish.terms["demandMean"]) == (4, 3.5)
    assert "demand 3.5 ± 0.0 replicas (7.0 req/s x 0.5 s)" in wish.why


def test_in_the_first_tick_after_a_restart_there_is_no_flow_yet() -> None:
    wish = asked(state_with(**LEARNED), signals(occupancy=1.5, arrival_rate=None))
    assert wish.terms["demandMean"] == 1.5


@pytest.mark.parametrize(("utilization", "flow", "raw"), [(1.0, 3.5, 4), (0.9, 3.889, 4), (0.5, 7.0, 7), (1.4, 2.5, 3)])
def test_replicas_are_planned_to_be_as_full_as_was_asked(utilization: float, flow: float, raw: int) -> None:
    wish = asked(state_with(), signals(occupancy=3.5), {"demand": {"utilization": utilization, "headroom": 0}})
    assert (wish.terms["flowReplicas"], wish.raw) == (flow, raw)


def points(*values: float) -> tuple[tuple[float, float], ...]:
    """Demand at the ticks before this one, the last one 10 s ago."""
    return tuple((NOW - 10.0 * (len(values) - index), value) for index, value in enumerate(values))


def test_noise_gets_head_room() -> None:
    noisy = state_with(demand=points(*[2.0, 3.0] * 6))
    spread = 1.4826 / math.sqrt(2.0)  # successive values differ by 1
    wish = asked(noisy, signals(occupancy=2.5), {"demand": {"utilization": 1.0, "headroom": 2}})
    assert wish.terms["demandSpread"] == pytest.approx(spread, abs=1e-3)
    assert wish.terms["flowReplicas"] == pytest.approx(wish.terms["demandMean"] + 2 * spread, abs=1e-3)


def test_a_jump_of_the_level_is_no_noise() -> None:
    jumped = state_with(demand=points(*[1.0] * 6, *[9.0] * 6))
    assert asked(jumped, signals(occupancy=9.0)).terms["demandSpread"] == 0.0


def test_a_few_points_tell_no_noise() -> None:
    assert asked(state_with(demand=points(1, 2, 1, 2, 1, 2)), signals(occupancy=2.0)).terms["demandSpread"] == 0.0
    assert asked(state_with(demand=points(1, 2, 1, 2, 1, 2, 1)), signals(occupancy=2.0)).terms["demandSpread"] > 0.0


def test_a_jump_up_is_followed_by_the_mean_of_the_last_half_minute() -> None:
    rising = state_with(demand=points(*[1.0] * 9, *[5.0] * 3))
    assert asked(rising, signals(occupancy=5.0)).terms["demandMean"] == 5.0


def test_a_jump_down_is_followed_by_the_mean_of_two_minutes() -> None:
    falling = state_with(demand=points(*[5.0] * 9, *[1.0] * 3))
    assert asked(falling, signals(occupancy=1.0)).terms["demandMean"] == pytest.approx(
        (9 * 5.0 + 4 * 1.0) / 13, abs=1e-3
    )


def test_only_the_last_ten_minutes_are_kept() -> None:
    old = state_with(demand=((NOW - 601, 9.0), (NOW - 600, 8.0)))
    after, _ = desire(scaling(), old, signals(occupancy=1.0), NOW)
    assert after.demand == ((NOW - 600, 8.0), (NOW, 1.0))


# Learning.


@pytest.mark.parametrize(
    ("known", "seen", "learned"),
    [
        (None, 800.0, 800.0),
        (1000.0, 800.0, 940.0),
        (1000.0, None, 1000.0),
        (1000.0, math.nan, 1000.0),
        (1000.0, math.inf, 1000.0),
        (1000.0, 0.0, 1000.0),
        (None, -5.0, None),
    ],
)
def test_capacity_is_learned_slowly_and_from_readings_that_can_be_true(
    known: float | None, seen: float | None, learned: float | None
) -> None:
    after, _ = desire(scaling(), state_with(capacity=known), signals(saturated_work_rate=seen), NOW)
    assert after.capacity == pytest.approx(learned)
    after, _ = desire(scaling(), state_with(work_per_request=known), signals(work_per_request=seen), NOW)
    assert after.work_per_request == pytest.approx(learned)


# Backlog.


@pytest.mark.parametrize(
    ("what", "waiting", "ready", "arrival_rate", "backlog"),
    [
        ("those that serve clear it within a cold start", 400.0, 4, 4.0, 0.0),  # 2 spare x 100 s = 200 replica-seconds
        ("they would not", 500.0, 4, 4.0, 2.0 + 2.5),
        ("none is spare", 100.0, 4, 8.0, 4.0 + 0.5),
        ("there are too few already", 100.0, 2, 8.0, 4.0 + 0.5),
        ("there is no queue", 0.0, 2, 8.0, 0.0),
    ],
)
def test_a_backlog_counts_when_it_would_outlast_a_cold_start(
    what: str, waiting: float, ready: int, arrival_rate: float, backlog: float
) -> None:
    wish = asked(state_with(**LEARNED), signals(ready, waiting=waiting, arrival_rate=arrival_rate))
    assert wish.terms["backlogReplicas"] == backlog
    assert (f"backlog -> {backlog:.1f}" if backlog else "backlog none") in wish.why


def test_while_replicas_start_the_queue_asks_for_no_more_than_what_is_on_its_way() -> None:
    coming = state_with(6, scale_out_at=NOW - 30, scale_out_to=6, **LEARNED)
    wish = asked(coming, signals(4, waiting=2000.0, arrival_rate=8.0))
    assert wish.terms["backlogReplicas"] == 6.0


def test_a_queue_before_anything_is_learned_is_no_backlog() -> None:
    assert asked(state_with(), signals(waiting=2000.0, occupancy=4.0)).terms["backlogReplicas"] == 0.0


# KV cache.


def test_a_full_cache_asks_for_replicas_by_itself() -> None:
    wish = asked(state_with(**LEARNED), signals(kv_usage=3.4, arrival_rate=2.0))
    assert (wish.raw, wish.terms["kvReplicas"]) == (4, 4.0)
    assert wish.why.endswith("KV cache -> 4.0")
    assert "KV cache ->" not in asked(state_with(**LEARNED), signals(kv_usage=0.1, arrival_rate=2.0)).why


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
    }
    assert wish.terms["capacityTokensPerSecond"] == 1000.0
    assert wish.terms["coldStartSeconds"] == 100.0
    assert asked(state_with(), seen).terms["capacityTokensPerSecond"] is None


def test_noise_in_the_last_digit_orders_no_replica() -> None:
    assert asked(state_with(), signals(occupancy=3.0000004)).raw == 3
    assert asked(state_with(), signals(occupancy=3.001)).raw == 4
