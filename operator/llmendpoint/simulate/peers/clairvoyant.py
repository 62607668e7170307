"""The clairvoyant: a plan made with all arrivals known, and a cost that no plan goes below.

The plan is a heuristic. What replicas are needed when follows from the work that arrives, spread over half a minute,
at a chosen utilisation; that is an estimate of what keeps a service level. The cheapest way to have them is then
exact: it is the optimum of the dynamic programme that pays for a replica while it runs and for its start.

The lower bound is proven, under the engine model's own iteration time, and for any policy that keeps minReplicas.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from llmendpoint.simulate.peers.peer import Bounds, EngineFacts, Floats, Foresight
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

    def __init__(self, foresight: Foresight, bounds: Bounds, *, utilization: float, cold_start: float) -> None:
        self._need = needed(foresight, utilization, bounds)
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


def needed(foresight: Foresight, utilization: float, bounds: Bounds) -> Counts:
    """Replicas that the work of each step needs. Shape: (steps,)."""
    if not len(foresight.arrivals):
        return np.full(1, bounds.least, np.int64)
    steps = (foresight.arrivals / STEP_SECONDS).astype(np.int64)
    work = np.bincount(steps, weights=foresight.work, minlength=int(steps[-1]) + SPREAD_STEPS)
    spread = np.convolve(work, np.full(SPREAD_STEPS, 1 / SPREAD_STEPS))[: len(work)]
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


def least_work(engine: EngineFacts, prompt: NDArray[np.int64], output: NDArray[np.int64]) -> Floats:
    """Replica-seconds that a request costs at least, in whatever company it is served. Shape: (requests,).

    It pays its own beta, gamma and kappa. An iteration holds at most max_num_seqs sequences, max_num_batched_tokens
    tokens and the KV cache, so that alpha can be shared in proportion to any one of these without giving out more than
    there is; the way of sharing that gives out most over all requests is taken. Requests that the engine refuses
    cost nothing: leave them out.
    """
    decodes = output - 1
    steps = -(-prompt // engine.max_num_batched_tokens) + decodes
    attended = decodes * prompt + decodes * (decodes - 1) / 2
    own = engine.beta * steps + engine.gamma * prompt + engine.kappa * attended
    shares = (
        steps / engine.max_num_seqs,
        (prompt + decodes) / engine.max_num_batched_tokens,
        attended / engine.kv_tokens,
    )
    return np.asarray(own + engine.alpha * max(shares, key=np.sum), np.float64)


def lower_bound(foresight: Foresight, horizon: float, *, least: int, missed: float = 0.0) -> float:
    """Replica-seconds that every policy pays which never goes below ``least`` and serves all but a share of requests.

    ``least`` replicas work as soon as there is something to do; what they leave at the end is extra. A share of the
    requests may never be served: the costliest ones, wherever they are. Starts cost nothing here, and nobody is in a
    hurry, so the bound is not tight.

    Args:
        foresight: work as of ``least_work``.
        horizon: seconds of the replay.
        least: replicas that are always there.
        missed: share of the requests that may never be served, 0 to 1.
    """
    always = least * horizon
    if not len(foresight.work):
        return always
    later = np.cumsum(foresight.work[::-1])[::-1]
    unserved = np.sort(foresight.work)[len(foresight.work) - int(missed * len(foresight.work)) :].sum()
    extra = float(np.max(later - least * (horizon - foresight.arrivals)) - unserved)
    return always + max(extra, 0.0)
