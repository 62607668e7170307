"""Whether a replica hangs: requests are running and no token comes, while /health still answers 200."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from llmendpoint.scaling.signals import EngineSample

# A prefill of a very long prompt takes seconds; the engines' own watchdogs act after 300 s.
STALL_SECONDS = 60.0


@dataclass(frozen=True)
class StallWatch:
    """Since when each pod has made no token although it works on requests."""

    tokens: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """pod -> (generated tokens, time at which that count was first seen)"""

    def update(self, samples: Mapping[str, EngineSample]) -> "StallWatch":
        """The watch after another reading. Pods without a sample or without work are forgotten."""
        fresh: dict[str, tuple[float, float]] = {}
        for pod, sample in samples.items():
            if sample.running <= 0:
                continue
            known = self.tokens.get(pod)
            unchanged = known is not None and known[0] == sample.generation_tokens_total
            fresh[pod] = known if known and unchanged else (sample.generation_tokens_total, sample.taken_at)
        return StallWatch(fresh)

    def stalled(self, now: float) -> tuple[str, ...]:
        """Pods that have made no token for STALL_SECONDS."""
        return tuple(sorted(pod for pod, (_, since) in self.tokens.items() if now - since >= STALL_SECONDS))
