"""A trace: when requests arrive and how long they are, from a file or a generator."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmendpoint.simulate.trace_files import Columns, TraceError, read_file
from llmendpoint.simulate.trace_generators import SHAPES, generate, is_generator

MOST_SHIFT_SECONDS = 300.0


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

    def scaled(self, factor: float, seed: int = 0) -> "Trace":
        """The load of ``factor`` times as many users who behave alike but not in step.

        So many copies of the trace lie over each other, each but the first shifted by up to five minutes; what goes
        over the end comes in at the start. The noise of single requests then averages out, as that of many users does,
        while what lasts longer than minutes is kept. Of the last copy, for a fraction, each request is taken with that
        probability.
        """
        random = np.random.default_rng(seed)
        t, requests = [], []
        for copy in range(math.ceil(factor)):
            taken = np.flatnonzero(random.random(len(self.t)) < factor - copy)
            shifted = self.t[taken] + (random.uniform(0.0, MOST_SHIFT_SECONDS) if copy else 0.0)
            t.append(np.where(shifted > self.duration, np.mod(shifted, max(self.duration, 1.0)), shifted))
            requests.append(taken)
        of = np.concatenate(requests)
        return make_trace((np.concatenate(t), self.input_tokens[of], self.output_tokens[of]), self.duration)


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
