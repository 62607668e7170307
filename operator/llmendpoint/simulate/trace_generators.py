"""Made-up traffic: Poisson arrivals at a rate that is constant, drawn anew each minute, or follows the day.

A generator is named like ``diurnal:rate=3,hours=24,peak=10``. All of them know ``rate`` (requests per second),
``hours``, ``input`` and ``output`` (mean tokens) and ``length_cv`` (0 gives every request the same lengths).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from llmendpoint.simulate.trace_files import Columns, TraceError

Floats = NDArray[np.float64]
# Within a second the rate is constant.
BIN_SECONDS = 1.0
COMMON = {"rate": 1.0, "hours": 1.0, "input": 1000.0, "output": 200.0, "length_cv": 1.0}
MOST_REQUESTS = 50_000_000


@dataclass(frozen=True)
class Shape:
    """How the rate follows time.

    ``factors`` maps the seconds of all bins, the settings and a generator of random numbers to the bins' rates as
    multiples of ``rate``.
    """

    factors: Callable[[Floats, Mapping[str, float], np.random.Generator], Floats]
    settings: Mapping[str, float] = field(default_factory=dict)
    """What it knows beside the common settings, with defaults."""


def _constant(seconds: Floats, _: Mapping[str, float], __: np.random.Generator) -> Floats:
    return np.ones_like(seconds)


def _gamma(seconds: Floats, given: Mapping[str, float], random: np.random.Generator) -> Floats:
    """A rate of mean 1 and deviation ``cv``, drawn anew each ``period`` seconds."""
    blocks = (seconds // given["period"]).astype(np.int64)
    if given["cv"] == 0:
        return np.ones_like(seconds)
    shape = 1.0 / given["cv"] ** 2
    return np.asarray(random.gamma(shape, 1.0 / shape, blocks[-1] + 1)[blocks])


def _diurnal(seconds: Floats, given: Mapping[str, float], _: np.random.Generator) -> Floats:
    """A sine over 24 hours, lowest at the start; ``peak`` is the highest rate by the lowest."""
    swing = (given["peak"] - 1.0) / (given["peak"] + 1.0)
    return np.asarray(1.0 - swing * np.cos(2.0 * np.pi * seconds / 86400.0))


def _step(seconds: Floats, given: Mapping[str, float], _: np.random.Generator) -> Floats:
    """``factor`` times the rate from ``at`` seconds on."""
    return np.where(seconds < given["at"], 1.0, given["factor"])


def _spike(seconds: Floats, given: Mapping[str, float], _: np.random.Generator) -> Floats:
    """``factor`` times the rate for ``seconds`` from ``at`` seconds on."""
    inside = (seconds >= given["at"]) & (seconds < given["at"] + given["seconds"])
    return np.where(inside, given["factor"], 1.0)


SHAPES: Mapping[str, Shape] = {
    "poisson": Shape(_constant),
    "gamma-modulated": Shape(_gamma, {"cv": 0.5, "period": 60.0}),
    "diurnal": Shape(_diurnal, {"peak": 10.0}),
    "step": Shape(_step, {"factor": 4.0, "at": 1800.0}),
    "spike": Shape(_spike, {"factor": 8.0, "at": 1800.0, "seconds": 300.0}),
}


def is_generator(text: str) -> bool:
    """Whether a trace argument names a generator."""
    return text.partition(":")[0] in SHAPES


def generate(text: str, seed: int) -> tuple[Columns, float]:
    """Requests of a generator, and the seconds that they cover. The same text and seed give the same requests.

    Raises:
        TraceError: a setting is unknown or out of range.
    """
    name, _, rest = text.partition(":")
    shape = SHAPES[name]
    given = _settings(text, rest, {**COMMON, **shape.settings})
    random = np.random.default_rng(seed)
    duration = given["hours"] * 3600.0
    bins = np.arange(0.0, duration, BIN_SECONDS)
    if given["rate"] * duration * max(given.get("factor", 1.0), 1.0) > MOST_REQUESTS:
        raise TraceError(f"trace {text!r} would have more than {MOST_REQUESTS:,} requests: lower its rate or hours")
    lengths = np.minimum(BIN_SECONDS, duration - bins)
    counts = random.poisson(given["rate"] * shape.factors(bins, given, random) * lengths)
    t = np.repeat(bins, counts) + random.random(counts.sum()) * np.repeat(lengths, counts)
    t.sort()
    tokens = [_lengths(given[which], given["length_cv"], len(t), random) for which in ("input", "output")]
    return (t, tokens[0], tokens[1]), duration


@dataclass(frozen=True)
class Step:
    """Requests of one span of time: how many, and their mean lengths."""

    requests: float
    prompt_tokens: float
    generation_tokens: float


def from_steps(steps: Sequence[Step], seconds: float, seed: int) -> tuple[Columns, float]:
    """Requests of steps of so many seconds, as Poisson arrivals of which the counts are known: anywhere in their step.

    Lengths are drawn around the means of their step with a coefficient of variation of 1.
    """
    random = np.random.default_rng(seed)
    # Rounding the running total keeps it; rounding each step would lose what is less than a half.
    totals = np.rint(np.cumsum([step.requests for step in steps])).astype(np.int64)
    counts = np.diff(totals, prepend=0)
    at = np.repeat(np.arange(len(steps)), counts)
    t = np.sort((at + random.random(len(at))) * seconds)
    means = [np.array([step.prompt_tokens for step in steps]), np.array([step.generation_tokens for step in steps])]
    prompt, generation = (_lengths(np.maximum(mean, 1.0)[at], COMMON["length_cv"], len(at), random) for mean in means)
    return (t, prompt, generation), len(steps) * seconds


def _lengths(mean: float | Floats, cv: float, count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Lognormal whole numbers of at least 1."""
    variance = np.log1p(cv * cv)
    drawn = random.lognormal(np.log(mean) - variance / 2.0, np.sqrt(variance), count)
    return np.asarray(np.maximum(np.rint(drawn), 1), dtype=np.int64)


def _settings(text: str, rest: str, defaults: Mapping[str, float]) -> dict[str, float]:
    given = dict(defaults)
    for part in filter(None, rest.split(",")):
        name, _, value = part.partition("=")
        if name not in defaults:
            raise TraceError(f"trace {text!r} has no setting {name!r}: it knows {', '.join(defaults)}")
        try:
            given[name] = float(value)
        except ValueError:
            raise TraceError(f"trace {text!r}: {name} must be a number, not {value!r}") from None
        lowest = 0.0 if name in {"rate", "cv", "length_cv", "at", "seconds", "factor"} else 1e-3
        if not lowest <= given[name] <= 1e9:
            raise TraceError(f"trace {text!r}: {name} must be {'0 or more' if lowest == 0.0 else 'above 0'}")
    return given
