"""What an endpoint was asked in the last hours, as a Prometheus server has it.

Requests of a step of time are those that finished in it and the change of those in flight, as the scaler reckons.

Lost are: the times of requests within a step; their lengths but for the mean of those that finished; what a pod did
after its last scrape; requests that a crash ended; and those that waited in front of the engines or were turned away.
"""

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from llmendpoint.engines.facts import MetricNames
from llmendpoint.metrics.prometheus_server import MALFORMED, PrometheusServer, Unanswered
from llmendpoint.metrics.promql import endpoint_query

ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class Asked:
    """What the engines of an endpoint were asked in one step of time."""

    requests: float
    prompt_tokens: float
    """Mean of a request."""
    generation_tokens: float
    """Mean of a request."""


async def asked(
    server: PrometheusServer, names: MetricNames, namespace: str, name: str, *, until: float, steps: int, seconds: float
) -> list[Asked]:
    """So many steps of so many seconds each, the last one until a time in seconds since the epoch.

    Raises:
        Unanswered: the server did not tell; the message says why.
    """
    times = [until - (steps - at) * seconds for at in range(steps + 1)]

    async def all_of(metrics: Sequence[str], last_of_seconds: float | None) -> "list[_Series]":
        queries = [
            endpoint_query(metric, names, namespace, name, last_of_seconds=last_of_seconds) for metric in metrics
        ]
        rows = await asyncio.gather(*(server.ask_range(query, times[0], until, seconds) for query in queries))
        try:
            return [_series(row, times) for some in rows for row in some]
        except MALFORMED:
            raise Unanswered(server.strange) from None

    # What a pod counted up to its end is not to be lost; what it had in flight then is gone.
    finished, prompts, generations, in_flight = await asyncio.gather(
        all_of(names.requests, seconds),
        all_of(names.finished_prompt_tokens or names.prompt_tokens, seconds),
        all_of(names.finished_generation_tokens or names.generation_tokens, seconds),
        all_of((*names.running, *names.waiting), None),
    )
    ended = _growth(finished, steps)
    level = [math.fsum(series[at] or 0.0 for series in in_flight) for at in range(steps + 1)]
    arrived = _rises([done + now - level[0] for done, now in zip(accumulate(ended), level[1:], strict=True)])
    means = [_means(_growth(tokens, steps), ended) for tokens in (prompts, generations)]
    return [Asked(*step) for step in zip(arrived, *means, strict=True)]


_Series = Sequence[float | None]
"""A value for each time; None where there is none."""


def _series(row: Mapping[str, Any], times: Sequence[float]) -> _Series:
    values = {round(float(at)): float(value) for at, value in row["values"]}
    return [values.get(round(at)) for at in times]


def _growth(counters: Iterable[_Series], steps: int) -> list[float]:
    """By how much all counters grew in each step.

    One that fell began anew at 0, and so did one that appeared. What one was at the very beginning is not growth.
    """
    grown = [0.0] * steps
    for counter in counters:
        last = counter[0] or 0.0
        for at, value in enumerate(counter[1:]):
            if value is not None:
                grown[at] += value - last if value >= last else value
                last = value
    return grown


def _rises(totals: Sequence[float]) -> list[float]:
    """By how much a total that should never fall rose in each step.

    Counters and gauges are not of the same moment: what is taken back later was not there.
    """
    least = [*accumulate(reversed(totals), min)][::-1]
    return [max(after, 0.0) - max(before, 0.0) for before, after in pairwise((0.0, *least))]


def _means(tokens: Sequence[float], requests: Sequence[float]) -> list[float]:
    """Tokens by request of each step; the mean of all where none finished."""
    mean = math.fsum(tokens) / math.fsum(requests) if any(requests) else 0.0
    return [some / count if count else mean for some, count in zip(tokens, requests, strict=True)]
