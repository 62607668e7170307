"""What happened to one request so far: seconds per step, and what went wrong; told to metrics and traces as well."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from opentelemetry import trace

from rag import metrics
from rag.budget import Budget
from rag.models import Timings

_tracer = trace.get_tracer(__name__)


@dataclass
class Record:
    """Of one request."""

    budget: Budget
    timings: Timings = field(default_factory=Timings)
    degraded: list[str] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step; ``name`` is one of those of ``Timings``."""
        began = time.monotonic()
        try:
            with _tracer.start_as_current_span(f"rag.{name}"):
                yield
        finally:
            seconds = time.monotonic() - began
            setattr(self.timings, name, round(seconds, 4))
            metrics.STEP_SECONDS.labels(name).observe(seconds)

    def degrade(self, step: str, sentence: str) -> None:
        """Note that a step was left out, or did not do what it should."""
        self.degraded.append(f"{step}: {sentence}")
        metrics.DEGRADED.labels(step.replace("-", "_")).inc()  # as rag_step_seconds names it

    def finish(self) -> Timings:
        """The timings with their total."""
        self.timings.total = round(self.budget.elapsed, 4)
        return self.timings
