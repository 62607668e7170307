"""Bursts that come again: the replicas that they need are kept, where waiting for them has cost too much.

A burst that is shorter than a start can be served only by replicas that are there before it. What it needs is known
from those before it: the highest demand between two readings in each span of ten minutes. A peak counts once several
spans of the last hour reached it, so that neither one burst nor the largest of many decides.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from llmendpoint.scaling.activity import Activity
from llmendpoint.scaling.wire import WIRE, Number

SPAN_SECONDS = 600.0
SPANS_KEPT = 6
RECURRENT = 3
# By the mean demand of two minutes: less is noise, or a burst that lasts, and that starts can follow.
BURST = 2.0
LATE_MEMORY_SECONDS = 21_600.0
# By the error budget: below this the correction is the cheaper remedy, and a rare burst is worth its late requests.
INTOLERABLE = 5.0


@dataclass(frozen=True)
class Bursts:
    """Peaks of demand in replicas, and how many requests waited too long. It lives in status.scaling.state."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    peaks: Annotated[tuple[Number, ...], Field(max_length=SPANS_KEPT)] = ()
    """Of the last whole spans, oldest first."""
    peak: Number = 0.0
    """Of the span under way."""
    elapsed: Number = 0.0
    """Length of the span under way, in seconds."""
    queued: Number = 0.0
    """Requests of about the last six hours."""
    late: Number = 0.0
    """Those of them that waited longer than the objective, for whatever reason: starts count here."""

    def learned(self, activity: Activity, demand: Sequence[float]) -> "Bursts":
        """The record after one more reading.

        Args:
            demand: in replicas, at the readings of the last two minutes, this one last.
        """
        keep = math.exp(-activity.elapsed / LATE_MEMORY_SECONDS)
        queued = keep * self.queued + activity.queued
        late = keep * self.late + min(activity.late, activity.queued)
        is_burst = bool(demand) and demand[-1] * len(demand) > BURST * sum(demand)
        peak = max(self.peak, demand[-1]) if is_burst else self.peak
        elapsed = self.elapsed + activity.elapsed
        if elapsed < SPAN_SECONDS:
            return Bursts(self.peaks, peak, elapsed, queued, late)
        return Bursts((*self.peaks, peak)[-SPANS_KEPT:], queued=queued, late=late)

    def replicas(self, error_budget: float) -> float:
        """Replicas to keep for the next burst.

        Args:
            error_budget: share of requests that may wait longer than the objective.
        """
        if self.late <= INTOLERABLE * error_budget * self.queued:
            return 0.0
        peaks = sorted((*self.peaks, self.peak), reverse=True)
        return peaks[RECURRENT - 1] if len(peaks) >= RECURRENT else 0.0
