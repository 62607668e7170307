"""Fewer points for the same picture."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from llmendpoint.simulate.profiles import Floats, Integers


class Envelope(NamedTuple):
    """A line in equal stretches of its points."""

    starts: Floats
    """Times."""
    means: Floats
    least: Floats
    most: Floats


def envelope(times: Floats, values: Floats, most: int) -> Envelope:
    """``most`` stretches or fewer; of few points each is one of its own, and nothing is lost."""
    edges = np.unique(np.linspace(0, len(values), min(len(values), most) + 1).astype(np.int64))[:-1]
    counts = np.diff(np.append(edges, len(values)))
    return Envelope(
        times[edges],
        np.add.reduceat(values, edges) / counts,
        np.minimum.reduceat(values, edges),
        np.maximum.reduceat(values, edges),
    )


def evenly(length: int, most: int) -> Integers:
    """Places spread evenly over all, the first and the last included."""
    return np.unique(np.linspace(0, length - 1, min(length, most)).astype(np.int64))


def changes(columns: Sequence[Floats]) -> Integers:
    """Places where any of the columns has another value than before, and the last: a step line loses nothing."""
    moved = np.any([np.diff(column) != 0 for column in columns], axis=0)
    return np.unique(np.concatenate(([0], np.flatnonzero(moved) + 1, [len(columns[0]) - 1])))
