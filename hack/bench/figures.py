"""One measured number beside its bar, and how a short call is timed."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

BATCH_SECONDS = 0.02
BATCHES = 30


@dataclass(frozen=True)
class Figure:
    """One number that was measured."""

    name: str
    value: float
    unit: str
    bar: float | None = None
    """The most that it may be; None where nothing is promised."""
    raw: Mapping[str, Any] = field(default_factory=dict)
    """What the number comes from: single values, spread, sizes."""
    note: str = ""

    @property
    def passes(self) -> bool | None:
        """Whether it keeps its bar; None without one."""
        return None if self.bar is None else self.value <= self.bar


def timed(name: str, call: Callable[[], object], *, bar: float | None = None, note: str = "") -> Figure:
    """Microseconds per call: the median of batches, with the collector off, after a warm-up.

    A batch lasts about BATCH_SECONDS, so that the clock's own cost and a switch of the core weigh little.
    """
    calls = 1
    while (took := _batch(call, calls)) < BATCH_SECONDS:
        calls = max(calls * 2, math.ceil(calls * BATCH_SECONDS / max(took, 1e-6)))
    enabled = gc.isenabled()
    gc.disable()
    try:
        batches = sorted(_batch(call, calls) / calls * 1e6 for _ in range(BATCHES))
    finally:
        if enabled:
            gc.enable()
    return Figure(name, statistics.median(batches), "µs", bar, {"calls": calls, **spread(batches)}, note)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Smallest, quartiles, largest."""
    if len(values) < 2:
        return dict.fromkeys(("min", "p25", "median", "p75", "max"), values[0]) if values else {}
    p25, median, p75 = statistics.quantiles(values, n=4, method="inclusive")
    return {"min": min(values), "p25": p25, "median": median, "p75": p75, "max": max(values)}


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def _batch(call: Callable[[], object], calls: int) -> float:
    started = time.perf_counter()
    for _ in range(calls):
        call()
    return time.perf_counter() - started
