"""WVA's token-based saturation analyser: demand in tokens by a capacity that it learns from saturated replicas.

Source: llm-d/llm-d-workload-variant-autoscaler (commit b08b1c7), internal/engines/analyzers/saturation_v2/analyzer.go
and internal/engines/pipeline/cost_aware_optimizer.go. Mean prompt and output lengths are those of the proxy's counters
over five minutes, for all replicas alike.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from llmendpoint.simulate.peers.windows import Growth
from llmendpoint.simulate.peers.wva import ReplicaLoad
from llmendpoint.simulate.policy import ProxySample, View
from llmendpoint.simulate.profiles import EngineProfile

OBSERVATIONS = 10
"""RollingAverageWindowSize."""
LENGTH_WINDOW_SECONDS = 300.0


@dataclass(frozen=True)
class WvaV2Settings:
    """wva-saturation-scaling-config with analyzerName saturation."""

    scale_up_threshold: float = 0.85
    scale_down_boundary: float = 0.7
    kv_cache_threshold: float = 0.8
    queue_length_threshold: float = 5.0


class WvaV2:
    """The analyser, its memory of observed capacities, and the optimizer for a single variant."""

    def __init__(self, settings: WvaV2Settings, profile: EngineProfile) -> None:
        self._settings = settings
        self._profile = profile
        self._observed: dict[str, deque[float]] = {}
        self._requests, self._prompts = Growth(LENGTH_WINDOW_SECONDS), Growth(LENGTH_WINDOW_SECONDS)
        self._finished, self._outputs = Growth(LENGTH_WINDOW_SECONDS), Growth(LENGTH_WINDOW_SECONDS)

    def target(self, loads: Sequence[ReplicaLoad], view: View, published: int | None) -> int | None:  # noqa: ARG002 - the other one needs it
        """Current size, and the replicas that demand lacks or leaves over."""
        if view.proxy is None:
            return None
        prompt, output = self._mean_lengths(view.proxy)
        in_use = [load.kv_usage * self._profile.kv_tokens for load in loads]
        capacity = median(
            self._capacity(tokens, load.waiting, prompt, output) for tokens, load in zip(in_use, loads, strict=True)
        )
        demand = sum(in_use) + sum(load.waiting for load in loads) * prompt + view.proxy.held * (prompt + output)
        return self.sized(view.replicas.ready, view.replicas.ordered, demand, capacity)

    def sized(self, ready: int, current: int, demand: float, capacity: float) -> int:
        """Replicas for a demand in tokens.

        Args:
            ready: replicas that are ready; the others of ``current`` are pending, and count for the scale-up.
            capacity: tokens of one replica.
        """
        if capacity <= 0:
            return current
        lacking = demand / self._settings.scale_up_threshold - current * capacity
        if lacking > 0:
            return current + math.ceil(lacking / capacity)
        spare = max(ready * capacity - demand / self._settings.scale_down_boundary, 0.0)
        return max(current - math.floor(spare / capacity), 1)

    def _capacity(self, in_use: float, waiting: float, prompt: float, output: float) -> float:
        """The smaller of what memory holds and what was seen, or is derived, to be in use at saturation."""
        by_memory = self._profile.kv_tokens * self._settings.kv_cache_threshold
        observed = self._observed.setdefault(_bucket(output), deque(maxlen=OBSERVATIONS))
        if waiting >= self._settings.queue_length_threshold and in_use > 0:
            observed.append(in_use)
            return min(by_memory, in_use)
        if observed:
            return min(by_memory, sum(observed) / len(observed))
        derived = derived_capacity(self._profile.max_num_batched_tokens, self._profile.max_num_seqs, prompt, output)
        return min(by_memory, derived) if derived > 0 else by_memory

    def _mean_lengths(self, proxy: ProxySample) -> tuple[float, float]:
        for growth, total in (
            (self._requests, proxy.requests_total),
            (self._prompts, proxy.prompt_tokens_total),
            (self._finished, proxy.finished_total),
            (self._outputs, proxy.generation_tokens_total),
        ):
            growth.add(proxy.taken_at, total)
        return (
            (self._prompts.total or 0.0) / max(self._requests.total or 0.0, 1.0),
            (self._outputs.total or 0.0) / max(self._finished.total or 0.0, 1.0),
        )


def derived_capacity(batched_tokens: int, seqs: int, prompt: float, output: float) -> int:
    """Tokens in use in a steady state, from the engine's arguments: min(B O / (I + O), S) x (I + O / 2)."""
    if output <= 0:
        return 0
    return int(min(batched_tokens * output / (prompt + output), seqs) * (prompt + output / 2))


def _bucket(output: float) -> str:
    """Observed capacities are kept by the length of outputs."""
    if output < 100:
        return "short"
    return "medium" if output < 500 else "long"
