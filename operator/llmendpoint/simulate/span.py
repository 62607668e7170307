"""The values of a target or setting that are worth trying."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Span:
    """From the smallest to the largest, both above 0: what counts is their ratio.

    Args:
        whole: whether they are whole numbers.
    """

    low: float
    high: float
    whole: bool = False

    def grid(self, points: int) -> list[float]:
        """Values at equal ratios, both ends included; fewer where some are the same."""
        return sorted({self.rounded(value) for value in np.geomspace(self.low, self.high, points).tolist()})

    def between(self, one: float, other: float) -> float:
        """The value at the same ratio to both."""
        return self.rounded(math.sqrt(one * other))

    def nearest(self, value: float) -> float:
        """The nearest value that is worth trying."""
        return min(max(value, self.low), self.high)

    def within(self, low: float, high: float) -> "Span":
        """The part between two values; the nearer one alone where there is no such part."""
        return Span(min(max(self.low, low), high), min(max(self.high, low), high), self.whole)

    def rounded(self, value: float) -> float:
        """To what is worth writing down: four digits."""
        return float(round(value)) if self.whole else float(f"{value:.4g}")
