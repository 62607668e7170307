"""Prometheus histograms: quantiles and shares, linear within a bucket."""

import math
from collections.abc import Sequence

Buckets = tuple[tuple[float, float], ...]
"""(upper bound, cumulative count), ascending; the last bound is infinity."""


def quantile(q: float, buckets: Sequence[tuple[float, float]]) -> float | None:
    """A quantile of a histogram, linear within a bucket, as Prometheus' histogram_quantile.

    Args:
        q: above 0, up to 1.
        buckets: (upper bound, cumulative count), ascending. The last finite bound stands for what lies beyond it.

    Returns:
        None where nothing was observed, or where no bucket has a bound.
    """
    count = buckets[-1][1] if len(buckets) > 1 else 0.0
    if count <= 0:
        return None
    rank = q * count
    index = next(index for index, (_, cumulative) in enumerate(buckets) if cumulative >= rank)
    lower, below = buckets[index - 1] if index else (0.0, 0.0)
    bound, cumulative = buckets[index]
    if math.isinf(bound):
        return lower
    return lower + (bound - lower) * (rank - below) / (cumulative - below)


def above(bound: float, buckets: Sequence[tuple[float, float]]) -> float:
    """How many observations are above a bound; 0 where nothing was observed.

    Args:
        buckets: (upper bound, cumulative count), ascending.
    """
    lower, below = 0.0, 0.0
    for upper, count in buckets:
        if bound < upper:
            share = 0.0 if math.isinf(upper) else (bound - lower) / (upper - lower)
            return buckets[-1][1] - below - share * (count - below)
        lower, below = upper, count
    return 0.0
