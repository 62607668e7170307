"""NVIDIA Dynamo's planner, throughput-based scaling of aggregated workers: predicted rate by what a worker can serve.

Source: ai-dynamo/dynamo, components/src/dynamo/planner/core/throughput_scaling.py (commit 0c9050c),
core/perf_model/agg.py, find_best_engine_agg_rps, and config/defaults.py. Two parts are the kinder ones here. Its
regression of the iteration time is replaced by the engine's own constants, the best that it could find. Its default
predictor, pmdarima's auto_arima fitted once on five points, mostly finds a constant mean, which follows no ramp; this
is its predictor ``constant``: the next interval will be as the last.
"""

import math
from dataclasses import dataclass

import numpy as np

from llmendpoint.simulate.peers.peer import Bounds
from llmendpoint.simulate.policy import Order, ProxySample, View
from llmendpoint.simulate.profiles import EngineProfile, Floats


@dataclass(frozen=True)
class DynamoThroughputSettings:
    """The planner's service level and interval."""

    ttft: float = 0.5
    """Seconds."""
    itl: float = 0.05
    """Seconds."""
    throughput_adjustment_interval: float = 180.0
    metric_delay: float = 15.0
    """Mean age of a sample that Prometheus scrapes each 30 s."""


class DynamoThroughput:
    """The planner with load-based scaling off. An interval without traffic changes nothing."""

    name = "dynamo-throughput"

    def __init__(self, settings: DynamoThroughputSettings, profile: EngineProfile, bounds: Bounds) -> None:
        self._settings = settings
        self._profile = profile
        self._bounds = bounds.without_zero
        self.period = settings.throughput_adjustment_interval
        self.metric_delay = settings.metric_delay
        self._before: ProxySample | None = None

    def start(self, replicas: int) -> None:
        """It keeps nothing over a restart."""

    def order(self, view: View) -> Order:
        """Rate and mean lengths of the last interval are those of the next."""
        old, new = self._before, view.proxy
        self._before = new or old
        current = view.replicas.ordered
        if old is None or new is None or new.taken_at <= old.taken_at:
            return Order(self._bounds.clamp(current), "no whole interval yet")
        requests = new.requests_total - old.requests_total
        finished = new.finished_total - old.finished_total
        if requests <= 0 or finished <= 0:
            return Order(self._bounds.clamp(current), "no traffic")
        isl = (new.prompt_tokens_total - old.prompt_tokens_total) / requests
        osl = (new.generation_tokens_total - old.generation_tokens_total) / finished
        per_worker = engine_rate(self._profile, isl, osl, ttft=self._settings.ttft, itl=self._settings.itl)
        rate = requests / (new.taken_at - old.taken_at)
        if per_worker <= 0:
            return Order(self._bounds.clamp(current), "the performance model is not ready")
        return Order(
            self._bounds.clamp(math.ceil(rate / per_worker)), f"{rate:.3g} req/s / {per_worker:.3g} per worker"
        )


def engine_rate(profile: EngineProfile, isl: float, osl: float, *, ttft: float, itl: float) -> float:
    """Requests per second of one worker at the largest batch that keeps both targets, by Little's law.

    The batch is bounded by the KV cache, max_num_seqs, and what prefill can keep up with. Where even one sequence
    breaks a target, that one counts.

    Args:
        isl: mean prompt tokens.
        osl: mean output tokens.
        ttft: seconds.
        itl: seconds.
    """
    if isl <= 0 or osl <= 0:
        return 0.0
    budget = profile.max_num_batched_tokens
    context = isl + osl / 2
    most = min(
        max(int(profile.kv_tokens / max(context, 1.0)), 1),
        profile.max_num_seqs,
        budget - 1,
        math.floor(budget - isl / osl),
    )
    batch = np.arange(1, max(most, 1) + 1, dtype=np.float64)
    prefill = np.minimum(batch * isl / max(osl, 1.0), budget)
    iteration = _iteration(profile, batch, prefill, batch * context)
    first = _first_token(profile, batch, prefill + isl, batch * context)
    broken = np.flatnonzero((iteration > itl) | (first > ttft))
    best = max(int(broken[0]) - 1, 0) if broken.size else len(batch) - 1
    return float(batch[best] / (osl * iteration[best]))


def _iteration(profile: EngineProfile, batch: Floats, prefill: Floats | float, cached: Floats) -> Floats:
    return profile.alpha + profile.beta * batch + profile.gamma * prefill + profile.kappa * cached


def _first_token(profile: EngineProfile, batch: Floats, tokens: Floats, cached: Floats) -> Floats:
    """Seconds to read so many prompt tokens in chunks, decoding meanwhile."""
    budget = profile.max_num_batched_tokens
    whole = np.ceil(tokens / budget) - 1
    return whole * _iteration(profile, batch, budget, cached) + _iteration(
        profile, batch, tokens - whole * budget, cached
    )
