"""How long a start takes, learned from the last ones."""

import pytest

from llmendpoint.api.status import ColdStart
from llmendpoint.scaling.cold_start import ASSUMED_SECONDS, cold_start_seconds, summary
from llmendpoint.scaling.state import COLD_STARTS_KEPT, initial_state
from support.builders import NOW


def test_a_usual_time_is_planned_with_while_nothing_was_learned() -> None:
    assert cold_start_seconds(()) == ASSUMED_SECONDS
    assert summary(()) is None


def test_one_slow_start_does_not_change_the_plan() -> None:
    assert cold_start_seconds((50.0, 48.0, 52.0, 900.0, 49.0)) == 50.0


def test_a_start_within_the_same_second_is_no_division_by_zero() -> None:
    assert cold_start_seconds((0.0, 0.0, 3.0)) == 1.0


@pytest.mark.parametrize(
    ("starts", "p50", "p90"),
    [
        ((48.04,), 48.0, 48.0),
        ((40.0, 60.0), 50.0, 60.0),
        (tuple(float(seconds) for seconds in range(10, 0, -1)), 5.5, 10.0),
        (tuple(float(seconds) for seconds in range(20)), 9.5, 18.0),
    ],
)
def test_the_summary_gives_the_middle_and_the_slow_end(starts: tuple[float, ...], p50: float, p90: float) -> None:
    assert summary(starts) == ColdStart(p50=p50, p90=p90, samples=len(starts))


def test_only_the_last_starts_count() -> None:
    state = initial_state(1, NOW)
    for seconds in range(COLD_STARTS_KEPT + 5):
        state = state.learn_cold_start(seconds + 0.04)
    assert state.cold_starts == tuple(float(seconds) for seconds in range(5, COLD_STARTS_KEPT + 5))
