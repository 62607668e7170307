"""Whether a replica hangs: requests are running and the engine makes no step, while /health still answers 200."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from llmendpoint.scaling.signals import EngineSample

# A prefill of a very long prompt takes seconds; the engines' own watchdogs act after 300 s.
STALL_SECONDS = 60.0


@dataclass(frozen=True)
class StallWatch:
    """Since when each pod has made no step although it works on requests."""

    steps: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    """pod -> (steps, times of the first and of the last sample with that count)"""

    def update(self, samples: Mapping[str, EngineSample]) -> "StallWatch":
        """The watch after another reading. Pods without a sample, without work or without the count are forgotten."""
        fresh: dict[str, tuple[float, float, float]] = {}
        for pod, sample in samples.items():
            if sample.running <= 0 or sample.steps_total is None:
                continue
            known = self.steps.get(pod)
            since = known[1] if known and known[0] == sample.steps_total else sample.taken_at
            fresh[pod] = (sample.steps_total, since, sample.taken_at)
        return StallWatch(fresh)

    def stalled(self, now: float) -> tuple[str, ...]:
        """Pods that made no step for STALL_SECONDS, as far as there are samples of the last STALL_SECONDS."""
        return tuple(
            sorted(
                pod
                for pod, (_, since, seen) in self.steps.items()
                if seen - since >= STALL_SECONDS and now - seen < STALL_SECONDS
            )
        )
