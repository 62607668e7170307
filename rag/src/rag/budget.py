"""The time that the steps of one request share: what is left, and whether a step that may be left out still fits."""

import time
from collections.abc import Callable


class BudgetSpent(Exception):
    """No time is left for a step that the answer needs."""


class Budget:
    """Seconds that run from now on.

    Args:
        seconds: for all steps together.
        clock: seconds that only go up.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._began = clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the request came."""
        return self._clock() - self._began

    @property
    def remaining(self) -> float:
        """Seconds that are left; never below 0."""
        return max(self._seconds - self.elapsed, 0.0)

    def needed(self, step: str) -> float:
        """Seconds for a step that the answer needs: all that is left.

        Raises:
            BudgetSpent: nothing is left.
        """
        if self.remaining <= 0:
            raise BudgetSpent(f"the budget of {self._seconds:g} s ran out before {step}")
        return self.remaining

    def spare(self, at_most: float, reserve: float) -> float:
        """Seconds for a step that may be left out: what is left above the reserve, 0 if nothing is."""
        return max(min(at_most, self.remaining - reserve), 0.0)
