"""The time of day for all that the operator decides: steady between two ticks, whoever sets the machine's clock."""

import time
from collections.abc import Callable

from llmendpoint.cluster.fence import uptime

# NTP corrects a clock by less, and a decision does not depend on it.
SMALLEST_JUMP_SECONDS = 1.0


class Clock:
    """Seconds since the epoch, by the machine's clock as it was when it was last looked at.

    Args:
        wall: the machine's clock, which may be set at any moment.
        steady: seconds that never jump.
    """

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = uptime) -> None:
        self._wall = wall
        self._steady = steady
        self._offset = wall() - steady()

    def __call__(self) -> float:
        """The time."""
        return self._steady() + self._offset

    def follow(self) -> float:
        """Look at the machine's clock. Returns by how many seconds it was set; 0.0 where it only went on."""
        moved = self._wall() - self()
        self._offset += moved
        return moved if abs(moved) >= SMALLEST_JUMP_SECONDS else 0.0
