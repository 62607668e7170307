"""WVA's percentage-based saturation analyser: one replica more or less, and nothing while any is on its way.

Source: llm-d/llm-d-workload-variant-autoscaler (commit b08b1c7), internal/saturation/analyzer.go.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llmendpoint.simulate.peers.wva import ReplicaLoad
from llmendpoint.simulate.policy import View

LEAST_UNSATURATED = 2
"""MinNonSaturatedReplicasForScaleDown."""


@dataclass(frozen=True)
class WvaV1Settings:
    """wva-saturation-scaling-config."""

    kv_cache_threshold: float = 0.8
    queue_length_threshold: float = 5.0
    kv_spare_trigger: float = 0.1
    queue_spare_trigger: float = 3.0


@dataclass(frozen=True)
class Saturation:
    """What the analysis says."""

    scale_up: bool
    scale_down_safe: bool


class WvaV1:
    """The analyser with its rule of one step at a time."""

    def __init__(self, settings: WvaV1Settings) -> None:
        self._settings = settings

    def target(self, loads: Sequence[ReplicaLoad], view: View, published: int | None) -> int | None:
        """One more, one less, or what there is. In transition: what was published."""
        current = view.replicas.ordered
        if published is not None and published != current:
            return published
        if len(loads) != current:
            return current
        saturation = analyze(loads, self._settings)
        if saturation.scale_up:
            return current + 1
        return current - 1 if saturation.scale_down_safe else current


def analyze(loads: Sequence[ReplicaLoad], settings: WvaV1Settings) -> Saturation:
    """Mean spare of the replicas that are not saturated; 0 when all are."""
    kv, queue = settings.kv_cache_threshold, settings.queue_length_threshold
    spare = [
        (kv - load.kv_usage, queue - load.waiting) for load in loads if load.kv_usage < kv and load.waiting < queue
    ]
    count = len(spare)
    spare_kv = sum(one for one, _ in spare) / count if count else 0.0
    spare_queue = sum(one for _, one in spare) / count if count else 0.0
    scale_up = spare_kv < settings.kv_spare_trigger or spare_queue < settings.queue_spare_trigger
    if count < LEAST_UNSATURATED:
        return Saturation(scale_up, scale_down_safe=False)
    more = count / (count - 1)
    safe = (
        kv - (kv - spare_kv) * more >= settings.kv_spare_trigger
        and queue - (queue - spare_queue) * more >= settings.queue_spare_trigger
    )
    return Saturation(scale_up, safe)
