"""The clairvoyant: a plan made with all arrivals known.

It is a heuristic. What replicas are needed when follows from the work that arrives, spread over half a minute, at a
chosen utilisation: an estimate of what keeps a service level. The cheapest way to have them is then exact: the optimum
of the dynamic programme that pays for a replica while it runs and for its start. What no plan goes below is another
question: see lower_bound.py.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from llmendpoint.simulate.peers.peer import Bounds
from llmendpoint.simulate.peers.work import Work
from llmendpoint.simulate.policy import Order, View

STEP_SECONDS = 10.0
SPREAD_STEPS = 3
"""Work is done within half a minute of its arrival: a request runs for about so long."""
LEAD = 1.5
"""Starts are ordered so many median cold starts ahead: one in fifty takes longer."""

Counts = NDArray[np.int64]


class Clairvoyant:
    """Carries the plan out.

    Args:
        utilization: share of a replica's time that the plan fills, its one target.
        cold_start: median seconds of a start.
    """

    name = "clairvoyant"
    period = STEP_SECONDS
    metric_delay = 0.0

    def __init__(self, work: Work, bounds: Bounds, *, utilization: float, cold_start: float) -> None:
        self._need = needed(work, utilization, bounds)
        self._bounds = bounds
        self._cold_start = cold_start
        self._orders: Counts = np.zeros(0, np.int64)

    def start(self, replicas: int) -> None:
        """Plan, the replicas at hand included."""
        ready = cheapest_cover(self._need, self._cold_start, at_hand=replicas)
        lead = int(np.ceil(LEAD * self._cold_start / STEP_SECONDS))
        self._orders = most_ahead(ready, lead)

    def order(self, view: View) -> Order:
        """What the plan says for now; after its end the smallest size."""
        step = int(view.now / STEP_SECONDS)
        planned = int(self._orders[step]) if step < len(self._orders) else 0
        return Order(self._bounds.clamp(planned), "planned")


def needed(work: Work, utilization: float, bounds: Bounds) -> Counts:
    """Replicas that the work of each step needs. Shape: (steps,)."""
    if not len(work.arrivals):
        return np.full(1, bounds.least, np.int64)
    steps = (work.arrivals / STEP_SECONDS).astype(np.int64)
    arriving = np.bincount(steps, weights=work.seconds, minlength=int(steps[-1]) + SPREAD_STEPS)
    spread = np.convolve(arriving, np.full(SPREAD_STEPS, 1 / SPREAD_STEPS))[: len(arriving)]
    return np.clip(np.ceil(spread / STEP_SECONDS / utilization - 1e-9), bounds.least, bounds.most).astype(np.int64)


def cheapest_cover(need: Counts, cold_start: float, *, at_hand: int = 0) -> Counts:
    """The cheapest replicas by step that are nowhere below the need: minimises

    sum(N[t]) x step + cold_start x sum(max(N[t + 1] - N[t], 0)), N[-1] being the replicas at hand.

    The k-th replica is needed in some steps. To keep it over a gap costs the gap, to start it again a cold start, so
    it is kept over gaps that are no longer. Costs of different k add up, and a gap of the k-th lies in one of the
    (k+1)-th, so the parts fit together to one plan. Shape: (steps,).
    """
    cover = np.zeros_like(need)
    for k in range(1, int(need.max(initial=0)) + 1):
        times = np.flatnonzero(need >= k)
        cover[times] += 1
        if at_hand >= k:
            times = np.concatenate(([-1], times))
        for begin, end in pairwise(times.tolist()):
            if 1 < end - begin <= cold_start / STEP_SECONDS + 1:
                cover[begin + 1 : end] += 1
    return cover


def most_ahead(counts: Counts, steps: int) -> Counts:
    """The largest count from each step to so many steps later."""
    padded = np.concatenate((counts, np.zeros(steps, np.int64)))
    windows: Counts = np.lib.stride_tricks.sliding_window_view(padded, steps + 1)
    return np.asarray(windows.max(axis=1), np.int64)
