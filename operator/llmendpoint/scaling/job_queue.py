"""What an endpoint's queue says of the jobs in it, and what its scaler aims at."""

from dataclasses import dataclass
from typing import NamedTuple


class Backlog(NamedTuple):
    """One reading of a queue."""

    queued: int
    """Jobs that no worker has taken."""
    in_progress: int
    oldest_seconds: float
    """How long the oldest of those that are queued has waited; 0 where none is."""


@dataclass(frozen=True)
class JobQueue:
    """The jobs of an endpoint with spec.async."""

    per_replica: int
    """Jobs for each replica, waiting and in work, that the scaler aims at."""
    longest_wait: float
    """Seconds that no job should wait longer."""
    backlog: Backlog | None = None
    """None where it is not known."""

    @property
    def pending(self) -> int:
        """Jobs that are not done, as far as is known."""
        return self.backlog.queued + self.backlog.in_progress if self.backlog else 0

    @property
    def is_late(self) -> bool:
        """Whether a job waits longer than it should."""
        return self.backlog is not None and self.backlog.queued > 0 and self.backlog.oldest_seconds > self.longest_wait
