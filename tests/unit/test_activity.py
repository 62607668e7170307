"""Which counts of a tick can be true."""

import math

import pytest

from llmendpoint.scaling.activity import LEAST, MOST, Activity

PLAUSIBLE = Activity(*(10.0 for _ in Activity._fields))


def test_counts_that_can_be_true_are_plausible() -> None:
    assert PLAUSIBLE.is_plausible
    assert Activity(elapsed=10.0, seconds=20.0).is_plausible, "an idle fleet has done nothing"


@pytest.mark.parametrize("name", Activity._fields)
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, -math.inf, MOST])
def test_one_count_that_can_not_be_true_is_enough(name: str, value: float) -> None:
    assert not PLAUSIBLE._replace(**{name: value}).is_plausible


@pytest.mark.parametrize(
    ("counts", "plausible"),
    [
        ({}, False),
        ({"elapsed": 10.0}, False),
        ({"elapsed": LEAST, "seconds": LEAST}, True),
        ({"elapsed": 0.09, "seconds": 10.0}, False),
        ({"elapsed": 10.0, "seconds": 10.0, "finished": LEAST}, True),
        ({"elapsed": 10.0, "seconds": 10.0, "finished": 1e-300}, False),
    ],
)
def test_nothing_is_divided_by_next_to_nothing(counts: dict[str, float], plausible: bool) -> None:
    assert Activity(**counts).is_plausible == plausible
