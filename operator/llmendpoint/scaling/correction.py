"""The last word of experience: replicas are raised or lowered by a factor until as many requests wait as may.

No model knows the routing, the mix of lengths and the tenants of an endpoint. How many requests waited too long in the
engines' queues is in their own histograms, so the factor is found by integral control, slowly.
"""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from llmendpoint.scaling.activity import Activity
from llmendpoint.scaling.wire import WIRE, Number

WINDOW_SECONDS = 600.0
# A spike that no replica could have come in time for says little about ordinary hours: by the goal, so much counts.
MOST_LATE = 10.0
# Change of the factor's logarithm per window: 4 % in an hour without a late request, as much back for twice the goal.
GAIN = 1.0 / 150.0
# Windows count by their requests, a busy one no more than three usual ones.
MOST_WEIGHT = 3.0
USUAL_SHARE = 1.0 / 12.0
LEAST, MOST = 0.75, 2.0


@dataclass(frozen=True)
class Correction:
    """The factor, and the window under way. It lives in status.scaling.state."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    factor: Annotated[float, Field(ge=LEAST, le=MOST)] = 1.0
    elapsed: Number = 0.0
    queued: Number = 0.0
    late: Number = 0.0
    usual: Number | None = None
    """Requests of a window, mean of the last two hours."""

    def learned(self, activity: Activity, goal: float) -> "Correction":
        """The correction after one more reading.

        Args:
            goal: share of requests that may be late.
        """
        queued, late = self.queued + activity.queued, self.late + min(activity.late, activity.queued)
        elapsed = self.elapsed + activity.elapsed
        if elapsed < WINDOW_SECONDS:
            return Correction(self.factor, elapsed, queued, late, self.usual)
        if queued < 1:
            return Correction(factor=self.factor, usual=self.usual)
        usual = queued if self.usual is None else self.usual + USUAL_SHARE * (queued - self.usual)
        excess = min(late / queued / goal, MOST_LATE) - 1.0
        change = GAIN * excess * min(queued / usual, MOST_WEIGHT)
        return Correction(factor=min(max(self.factor * math.exp(change), LEAST), MOST), usual=usual)
