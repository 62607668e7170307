"""NVIDIA Dynamo's planner, load-based scaling of aggregated workers by static thresholds.

Source: ai-dynamo/dynamo, components/src/dynamo/planner/core/load_scaling.py, _advance_load_agg and
_agg_easy_decision (commit 0c6da1e), optimization_target throughput, which is the default. max_gpu_budget is
taken to be maxReplicas.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llmendpoint.simulate.peers.peer import Bounds
from llmendpoint.simulate.policy import Order, View
from llmendpoint.simulate.profiles import EngineProfile


@dataclass(frozen=True)
class DynamoLoadSettings:
    """Thresholds of (KV tokens in use + queued prompt tokens) / KV tokens of a worker."""

    scale_up: float = 1.0
    scale_down: float = 0.6
    load_adjustment_interval: float = 5.0


class DynamoLoad:
    """One worker more or less, and only while all that were ordered are there. Forward pass metrics are pushed."""

    name = "dynamo-load"
    metric_delay = 0.0

    def __init__(self, settings: DynamoLoadSettings, profile: EngineProfile, bounds: Bounds) -> None:
        self._settings = settings
        self._profile = profile
        self._bounds = bounds.without_zero
        self.period = settings.load_adjustment_interval

    def start(self, replicas: int) -> None:
        """It keeps nothing."""

    def order(self, view: View) -> Order:
        """Observe only while a scaling is in progress or a worker does not report."""
        current = view.replicas.ordered
        ready = view.ready
        if len(ready) != current:
            return Order(self._bounds.clamp(current), "scaling in progress")
        tokens = [
            pod.kv_tokens + (pod.queued_prompt_tokens or 0.0)
            for pod in ready
            if pod.sample is not None and pod.kv_tokens is not None
        ]
        if not tokens or len(tokens) != len(ready):
            return Order(self._bounds.clamp(current), "worker count mismatch")
        usages = [used / self._profile.kv_tokens for used in tokens]
        return Order(self._bounds.clamp(decide(usages, self._settings)), f"largest usage {max(usages):.3g}")


def decide(usages: Sequence[float], settings: DynamoLoadSettings) -> int:
    """Workers after this look, for the usage of each worker there is."""
    workers = len(usages)
    if any(usage > settings.scale_up for usage in usages):
        return workers + 1
    if workers > 1 and all(usage < settings.scale_down for usage in usages):
        return workers - 1
    return workers
