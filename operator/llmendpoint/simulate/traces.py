"""A trace: when requests arrive and how long they are, from a file or a generator."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmendpoint.simulate.trace_files import Columns, TraceError, read_file
from llmendpoint.simulate.trace_generators import SHAPES, generate, is_generator


@dataclass(frozen=True, eq=False)
class Trace:
    """Requests in the order of their arrival; three arrays of one length, and how long the trace lasts."""

    t: NDArray[np.float64]
    """Seconds from the start."""
    input_tokens: NDArray[np.int64]
    output_tokens: NDArray[np.int64]
    duration: float
    """Seconds; no less than the last arrival."""

    def between(self, start: float, end: float) -> "Trace":
        """The requests that arrive in [start, end), counted from ``start``."""
        first, last = np.searchsorted(self.t, (start, end))
        return Trace(
            self.t[first:last] - start, self.input_tokens[first:last], self.output_tokens[first:last],
            min(end, self.duration) - start,
        )  # fmt: skip


def make_trace(columns: Columns, duration: float = 0.0) -> Trace:
    """A trace of columns in any order of time. A request has at least one token to read and one to generate."""
    t, inputs, outputs = columns[0], np.maximum(columns[1], 1), np.maximum(columns[2], 1)
    if (np.diff(t) < 0).any():
        order = np.argsort(t, kind="stable")
        t, inputs, outputs = t[order], inputs[order], outputs[order]
    return Trace(t, inputs, outputs, max(duration, float(t[-1]) if len(t) else 0.0))


def load_trace(argument: str, seed: int = 0) -> Trace:
    """The trace that an argument names: a generator such as ``poisson:rate=2,hours=1``, or a file.

    Raises:
        TraceError: it can not be had; the message says why.
    """
    if is_generator(argument):
        return make_trace(*generate(argument, seed))
    path = Path(argument)
    if not path.exists():
        raise TraceError(f"no trace {argument!r}: give a file or one of the generators {', '.join(SHAPES)}")
    return make_trace(read_file(path))
