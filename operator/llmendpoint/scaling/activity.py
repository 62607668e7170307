"""What the replicas of an endpoint did between two readings."""

from typing import NamedTuple

# More than any fleet does between two readings.
MOST = 1e12
# More than any replica does of anything in a second.
FASTEST = 1e6
# Less than any fleet does, if it does anything, and the shortest time between two readings in seconds.
LEAST = 0.1


class Activity(NamedTuple):
    """Sums over the replicas that were read twice, each since its sample before."""

    elapsed: float = 0.0
    """Seconds between the samples, mean over replicas."""
    seconds: float = 0.0
    """Replica-seconds between the samples."""
    busy_seconds: float = 0.0
    """Replica-seconds in which a batch ran, by the gauges."""
    steps: float = 0.0
    prompt_tokens: float = 0.0
    generation_tokens: float = 0.0
    finished: float = 0.0
    """Requests."""
    finished_prompt_tokens: float = 0.0
    finished_generation_tokens: float = 0.0
    queued: float = 0.0
    """Finished requests whose time in the queue is known."""
    late: float = 0.0
    """Those of them that waited longer than the objective."""

    @property
    def is_plausible(self) -> bool:
        """Whether these can be true; a broken engine may say anything."""
        counted = self.finished == 0.0 or self.finished >= LEAST
        spans = min(self.elapsed, self.seconds) >= LEAST
        # A counter that was absent once grows by all that it ever counted.
        possible = max(self.steps, self.generation_tokens, self.prompt_tokens) <= FASTEST * self.seconds
        # A sum with a number that is none is none, and smaller than nothing.
        return spans and counted and possible and min(self) >= 0.0 and sum(self) < MOST
