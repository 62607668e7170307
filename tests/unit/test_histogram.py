"""How many observations of a histogram are above a bound."""

import math

import pytest

from llmendpoint.scaling.histogram import Buckets, above

# 10 up to 1, 20 up to 2, 30 up to 4, 40 above that.
BUCKETS: Buckets = ((1.0, 10.0), (2.0, 30.0), (4.0, 60.0), (math.inf, 100.0))


@pytest.mark.parametrize(
    ("bound", "count"),
    [
        (0.0, 100.0),
        (0.25, 97.5),  # a quarter of the first 10 is below
        (1.0, 90.0),
        (1.5, 80.0),
        (2.0, 70.0),
        (3.5, 47.5),  # three quarters of 30 are below
        (4.0, 40.0),
        (1000.0, 40.0),  # how far beyond the last finite bound they are is not known
        (math.inf, 0.0),
    ],
)
def test_observations_are_spread_evenly_within_a_bucket(bound: float, count: float) -> None:
    assert above(bound, BUCKETS) == pytest.approx(count)


@pytest.mark.parametrize("buckets", [(), ((1.0, 0.0), (math.inf, 0.0))])
def test_nothing_observed_is_nothing_above(buckets: Buckets) -> None:
    assert above(0.5, buckets) == 0.0


def test_all_observations_in_one_bucket_without_a_bound_are_above() -> None:
    assert above(0.5, ((math.inf, 7.0),)) == 7.0


def test_above_the_last_bound_of_a_histogram_without_infinity_is_nothing() -> None:
    assert above(5.0, BUCKETS[:-1]) == 0.0
