"""The clairvoyant: its plan is the cheapest cover by enumeration, and replicas are there in time."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmendpoint.simulate.peers.clairvoyant import (
    STEP_SECONDS,
    Clairvoyant,
    cheapest_cover,
    most_ahead,
    needed,
)
from llmendpoint.simulate.peers.peer import Bounds
from llmendpoint.simulate.peers.work import Work
from support.trivial_fleet import TrivialFleet


def cost(counts: tuple[int, ...], cold_start: float, at_hand: int) -> float:
    """Of running and starting."""
    starts = sum(max(new - old, 0) for old, new in zip((at_hand, *counts), counts, strict=False))
    return sum(counts) * STEP_SECONDS + starts * cold_start


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=6),
    st.sampled_from([0.0, 5.0, 10.0, 20.0, 35.0, 100.0]),
    st.integers(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_no_cover_is_cheaper(need: list[int], cold_start: float, at_hand: int) -> None:
    cover = cheapest_cover(np.array(need), cold_start, at_hand=at_hand)
    assert (cover >= need).all()
    every = product(*(range(least, 4) for least in need))
    cheapest = min(cost(counts, cold_start, at_hand) for counts in every)
    assert cost(tuple(int(count) for count in cover), cold_start, at_hand) == pytest.approx(cheapest)


def test_a_gap_is_kept_while_it_is_no_longer_than_a_start() -> None:
    need = np.array([2, 0, 0, 0, 2])
    assert cheapest_cover(need, 30.0).tolist() == [2, 2, 2, 2, 2]
    assert cheapest_cover(need, 29.0).tolist() == [2, 0, 0, 0, 2]


def test_orders_go_ahead_of_need() -> None:
    assert most_ahead(np.array([1, 1, 1, 4, 1, 1]), 2).tolist() == [1, 4, 4, 4, 1, 1]


def test_work_is_spread_over_half_a_minute_and_bounded() -> None:
    work = Work(np.array([0.0, 20.0]), np.array([60.0, 600.0]))
    assert needed(work, 1.0, Bounds(1, 10)).tolist() == [2, 2, 10, 10, 10]
    assert needed(work, 0.5, Bounds(1, 99)).tolist() == [4, 4, 44, 40, 40]


def test_replicas_are_ready_when_the_load_steps_up() -> None:
    arrivals = np.concatenate([np.arange(0.0, 1800.0), np.arange(1800.0, 3600.0, 0.25)])
    work = Work(arrivals, np.full(len(arrivals), 1.0))
    plan = Clairvoyant(work, Bounds(1, 20), utilization=0.8, cold_start=120.0)
    fleet = TrivialFleet(plan, lambda time: 1.0 if time < 1800 else 4.0).run(3600)
    assert fleet.ordered_at(1600) == 2
    assert fleet.ordered_at(1650) == 5  # 180 s ahead
    assert max(state.in_flight for state in fleet._history) < 41  # nobody waits: 50 slots


def test_an_empty_trace_needs_the_least() -> None:
    plan = Clairvoyant(Work(np.zeros(0), np.zeros(0)), Bounds(2, 20), utilization=1.0, cold_start=60.0)
    assert set(TrivialFleet(plan, lambda _: 0.0).run(300).sizes) == {2}
