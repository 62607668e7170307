"""Bursts that come again."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmendpoint.scaling.activity import Activity
from llmendpoint.scaling.bursts import RECURRENT, SPANS_KEPT, Bursts
from llmendpoint.scaling.state import decode, encode, initial_state
from support.builders import NOW

BUDGET = 0.01


def over_spans(*peaks: float, late: float = 1.0, start: Bursts = Bursts()) -> Bursts:  # noqa: B008 - frozen
    """After spans of ten minutes, each with one burst of ten seconds out of silence."""
    for peak in peaks:
        for reading in range(60):
            demand = [*[0.0] * 12, peak if reading == 30 else 0.0]
            start = start.learned(Activity(elapsed=10.0, queued=10.0, late=late), demand)
    return start


def test_nothing_is_kept_before_anything_was_seen() -> None:
    assert Bursts().replicas(BUDGET) == 0.0


@pytest.mark.parametrize(
    ("peaks", "kept"),
    [
        ((8.0,), 0.0),
        ((8.0, 9.0), 0.0),  # and nothing yet in the span under way
        ((8.0, 9.0, 7.0), 7.0),
        ((8.0, 30.0, 8.0, 30.0), 8.0),  # two of six reached 30
        ((8.0, 30.0, 8.0, 30.0, 0.0, 30.0), 30.0),
        ((0.0, 0.0, 20.0, 20.0), 0.0),  # not yet in three
    ],
)
def test_what_three_spans_of_the_last_hour_reached_is_kept(peaks: tuple[float, ...], kept: float) -> None:
    assert over_spans(*peaks).replicas(BUDGET) == kept


def test_a_burst_counts_at_once_in_the_span_under_way() -> None:
    known = over_spans(8.0, 9.0)
    assert known.learned(Activity(elapsed=10.0, queued=9.0, late=9.0), [1.0, 1.0, 7.0]).replicas(BUDGET) == 7.0


def test_after_an_hour_without_one_nothing_is_kept() -> None:
    assert over_spans(*[8.0] * 6).replicas(BUDGET) == 8.0
    assert over_spans(*[8.0] * 6, *[0.0] * 5).replicas(BUDGET) == 0.0


@pytest.mark.parametrize("demand", [[], [4.0], [4.0] * 13, [3.0] * 12 + [5.0], [8.0] * 6 + [16.0] * 7])
def test_noise_and_what_lasts_is_no_burst(demand: list[float]) -> None:
    assert Bursts().learned(Activity(elapsed=10.0, queued=9.0), demand).peak == 0.0


@pytest.mark.parametrize(("late", "kept"), [(0.0, 0.0), (0.4, 0.0), (0.6, 8.0), (10.0, 8.0)])
def test_nothing_is_kept_while_no_more_than_five_times_the_budget_is_late(late: float, kept: float) -> None:
    """Of ten requests."""
    assert over_spans(*[8.0] * 6, late=late).replicas(BUDGET) == kept
    assert over_spans(*[8.0] * 6, late=late).replicas(10 * BUDGET) == (8.0 if late == 10.0 else 0.0)


def test_late_requests_of_six_hours_are_remembered() -> None:
    quiet = over_spans(*[8.0] * 36, late=0.0, start=over_spans(*[8.0] * 6, late=10.0))
    assert 0.05 < quiet.late / quiet.queued < 0.1
    quiet = over_spans(*[8.0] * 36, late=0.0, start=quiet)
    assert quiet.replicas(BUDGET) == 0.0


@given(st.lists(st.tuples(st.floats(0.0, 1e6), st.floats(0.0, 1e9), st.floats(0.1, 7200.0)), max_size=30))
def test_whatever_is_read_it_stays_small_and_survives_a_restart(readings: list[tuple[float, float, float]]) -> None:
    bursts, seen = Bursts(), 0.0
    for demand, late, elapsed in readings:
        seen = max(seen, demand)
        bursts = bursts.learned(Activity(elapsed=elapsed, queued=1e3, late=late), [0.0, 0.0, demand])
        assert len(bursts.peaks) <= SPANS_KEPT
        assert 0.0 <= bursts.replicas(BUDGET) <= seen
    state = replace(initial_state(2, NOW), bursts=bursts)
    assert decode(json.loads(json.dumps(encode(state))), 99, NOW) == state


@pytest.mark.parametrize(
    "edited", [{"peaks": [1.0] * (SPANS_KEPT + 1)}, {"peaks": [-1.0]}, {"late": "many"}, {"queued": -1}, {"peak": None}]
)
def test_a_record_that_somebody_edited_is_not_believed(edited: dict[str, Any]) -> None:
    data = encode(replace(initial_state(2, NOW), bursts=over_spans(*[8.0] * RECURRENT)))
    assert decode({**data, "bursts": {**data["bursts"], **edited}}, 5, NOW) == initial_state(5, NOW)
