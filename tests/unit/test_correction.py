"""The factor that experience puts on the replicas."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmendpoint.scaling.activity import Activity
from llmendpoint.scaling.correction import LEAST, MOST, Correction
from llmendpoint.scaling.state import decode, encode, initial_state
from support.builders import NOW

GOAL = 0.01


def over_windows(*windows: tuple[float, float], start: Correction = Correction()) -> Correction:  # noqa: B008 - frozen
    """After windows of ten minutes, each with so many requests, so many of them late, in 60 readings."""
    for queued, late in windows:
        for _ in range(60):
            start = start.learned(Activity(elapsed=10.0, queued=queued / 60.0, late=late / 60.0), GOAL)
    return start


def test_nothing_is_corrected_at_first() -> None:
    assert Correction().factor == 1.0


@pytest.mark.parametrize(
    ("late", "change"),
    [
        (0.0, -1.0 / 150.0),
        (5.0, -0.5 / 150.0),
        (10.0, 0.0),
        (20.0, 1.0 / 150.0),
        (100.0, 9.0 / 150.0),
        (500.0, 9.0 / 150.0),  # of a spike no more than ten times the goal counts
        (1000.0, 9.0 / 150.0),
    ],
)
def test_more_late_requests_than_the_goal_raise_it_and_fewer_lower_it(late: float, change: float) -> None:
    assert math.log(over_windows((1000.0, late)).factor) == pytest.approx(change)


def test_an_hour_without_a_late_request_lowers_it_by_four_per_cent() -> None:
    assert over_windows(*[(600.0, 0.0)] * 6).factor == pytest.approx(0.96, abs=1e-3)


@pytest.mark.parametrize("goal", [0.0001, 0.004, 0.2])
def test_a_goal_is_kept_whatever_it_is(goal: float) -> None:
    correction = Correction().learned(Activity(elapsed=600.0, queued=1000.0, late=3000.0 * goal), goal)
    assert math.log(correction.factor) == pytest.approx(min(2.0, 1.0 / goal - 1.0) / 150.0)


def test_a_window_is_ten_minutes() -> None:
    correction = Correction()
    for _ in range(59):
        correction = correction.learned(Activity(elapsed=10.0, queued=10.0, late=10.0), GOAL)
    assert (correction.factor, correction.elapsed, correction.queued, correction.late) == (1.0, 590.0, 590.0, 590.0)
    correction = correction.learned(Activity(elapsed=10.0, queued=10.0, late=10.0), GOAL)
    assert correction == Correction(factor=correction.factor, usual=600.0)
    assert math.log(correction.factor) == pytest.approx(9.0 / 150.0)


def test_there_are_never_more_late_requests_than_requests() -> None:
    """A histogram that is read in parts may say so."""
    assert Correction().learned(Activity(elapsed=10.0, queued=3.0, late=5.0), GOAL).late == 3.0


@pytest.mark.parametrize(("late", "bound"), [(1000.0, MOST), (0.0, LEAST)])
def test_it_stays_within_bounds(late: float, bound: float) -> None:
    assert over_windows(*[(1000.0, late)] * 60).factor == bound
    beyond = over_windows(*[(1000.0, late)] * 80)
    back = over_windows((1000.0, 1000.0 - late), start=beyond)
    assert (back.factor < bound) == (bound == MOST), "it turns at once, however long it was there"


def test_a_window_without_requests_changes_nothing() -> None:
    busy = over_windows((1000.0, 20.0))
    assert over_windows(*[(0.0, 0.0)] * 10, start=busy) == busy
    assert over_windows((0.5, 0.5), start=busy) == busy
    assert over_windows((0.0, 0.0)) == Correction()


@pytest.mark.parametrize(
    ("queued", "usual", "weight"),
    [
        (1200.0, 1200.0, 1.0),
        (120.0, 1110.0, 120.0 / 1110.0),  # 1200 + (120 - 1200) / 12
        (2400.0, 1300.0, 2400.0 / 1300.0),
        (12000.0, 2100.0, 3.0),  # and not 12000 / 2100
    ],
)
def test_windows_weigh_by_their_requests(queued: float, usual: float, weight: float) -> None:
    """Two hours make what is usual; 2 % late are twice the goal."""
    before = Correction(usual=1200.0)
    after = over_windows((queued, 0.02 * queued), start=before)
    assert after.usual == pytest.approx(usual)
    assert math.log(after.factor) == pytest.approx(weight / 150.0)


@given(st.lists(st.tuples(st.floats(0.0, 1e6), st.floats(0.0, 1e6), st.floats(1.0, 3600.0)), max_size=30))
def test_whatever_is_read_it_stays_within_bounds_and_survives_a_restart(
    readings: list[tuple[float, float, float]],
) -> None:
    correction = Correction()
    for queued, late, elapsed in readings:
        correction = correction.learned(Activity(elapsed=elapsed, queued=queued, late=late), GOAL)
        assert LEAST <= correction.factor <= MOST
    state = replace(initial_state(2, NOW), correction=correction)
    assert decode(json.loads(json.dumps(encode(state))), 99, NOW) == state


@pytest.mark.parametrize(
    "edited",
    [{"factor": 0.74}, {"factor": 2.01}, {"factor": "nan"}, {"late": -1}, {"elapsed": "inf"}, {"queued": None},
     {"usual": -1}, {"usual": "many"}],
)  # fmt: skip
def test_a_correction_that_somebody_edited_is_not_believed(edited: dict[str, Any]) -> None:
    data = encode(replace(initial_state(2, NOW), correction=over_windows((1000.0, 20.0))))
    assert decode({**data, "correction": {**data["correction"], **edited}}, 5, NOW) == initial_state(5, NOW)
