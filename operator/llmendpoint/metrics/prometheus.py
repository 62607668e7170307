"""The other source: a Prometheus server, asked once per signal for all endpoints that name it."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmendpoint.engines import engine_for
from llmendpoint.metrics.extract import sample_of
from llmendpoint.metrics.parser import Sample
from llmendpoint.metrics.prometheus_server import MALFORMED, PrometheusServer, Unanswered
from llmendpoint.metrics.promql import IS_UP, SCRAPED_AT, all_of, queue_objectives, signal_queries
from llmendpoint.metrics.source import EndpointReading, EndpointTarget, PodTarget
from llmendpoint.scaling.signals import EngineSample

READ_SECONDS = 5.0

PodKey = tuple[str, str]
"""(namespace, pod)"""


class PrometheusReader:
    """Reads engine metrics from Prometheus servers by the labels ``namespace`` and ``pod`` that a PodMonitor sets.

    Args:
        stale_seconds: a pod that was last scraped longer ago counts as unread.
        clock: seconds since the epoch.
        timeout: seconds that a server may take for all queries of one reading.
    """

    def __init__(self, *, stale_seconds: float, clock: Callable[[], float], timeout: float = READ_SECONDS) -> None:
        self._stale_seconds = stale_seconds
        self._timeout = timeout
        self._clock = clock
        self._servers: dict[str, PrometheusServer] = {}

    async def read(self, targets: Sequence[EndpointTarget]) -> list[EndpointReading]:
        """One reading per target, in the same order. Never raises."""
        by_url: dict[str, list[EndpointTarget]] = {}
        for target in targets:
            prometheus = target.scaling.metrics.prometheus
            by_url.setdefault(prometheus.url if prometheus else "", []).append(target)
        for url in self._servers.keys() - by_url.keys():
            self._servers.pop(url).close()
        answers = await asyncio.gather(*(self._read_from(url, some) for url, some in by_url.items()))
        readings = {
            (target.namespace, target.name): reading
            for some, found in zip(by_url.values(), answers, strict=True)
            for target, reading in zip(some, found, strict=True)
        }
        return [readings[target.namespace, target.name] for target in targets]

    async def _read_from(self, url: str, targets: Sequence[EndpointTarget]) -> list[EndpointReading]:
        if url not in self._servers:
            self._servers[url] = PrometheusServer(url, self._timeout)
        server, now = self._servers[url], self._clock()
        deadline = asyncio.get_running_loop().time() + self._timeout
        async with asyncio.TaskGroup() as group:
            scraped = group.create_task(self._scraped(server, targets, now, deadline))
            values = [group.create_task(self._values(server, target, now, deadline)) for target in targets]
        # In a thread: a thousand endpoints with TTFT targets are 90,000 rows.
        return await asyncio.to_thread(
            self._readings, server, targets, scraped.result(), [asked.result() for asked in values], now
        )

    def _readings(
        self,
        server: PrometheusServer,
        targets: Sequence[EndpointTarget],
        answers: "_Answers | str",
        values: Sequence[Sequence[float | str | None]],
        now: float,
    ) -> list[EndpointReading]:
        try:
            scraped = answers if isinstance(answers, str) else _collected(answers)
        except MALFORMED:
            scraped = server.strange
        return [self._reading(target, scraped, asked, now) for target, asked in zip(targets, values, strict=True)]

    async def _scraped(
        self, server: PrometheusServer, targets: Sequence[EndpointTarget], now: float, deadline: float
    ) -> "_Answers | str":
        """What the server knows of all engine pods, or why it said nothing."""
        objectives = queue_objectives(targets)
        try:
            async with asyncio.timeout_at(deadline):
                # One moment for all queries; but a scrape counts from its begin, and shows when it has ended: one that
                # ends between two queries is seen by the second alone.
                before, *bounds = await asyncio.gather(
                    server.ask(SCRAPED_AT, now), *(_bounds(server, name, now) for name in objectives)
                )
                queries = signal_queries(targets, objectives, dict(zip(objectives, bounds, strict=True)))
                answers = await asyncio.gather(*(server.ask(query, now) for query in queries.values()))
                after = await server.ask(IS_UP, now)
            return _Answers(before, after, dict(zip(queries, answers, strict=True)))
        except TimeoutError:
            return server.silent
        except Unanswered as error:
            return str(error)

    async def _values(
        self, server: PrometheusServer, target: EndpointTarget, now: float, deadline: float
    ) -> "tuple[float | str | None, ...]":
        """The value of each PromQL target, or why there is none; None for targets of other types."""
        queries = [
            None if wanted.query is None
            else wanted.query.replace("$namespace", target.namespace).replace("$name", target.name)
            for wanted in target.scaling.targets
        ]  # fmt: skip

        async def value_of(query: str | None) -> float | str | None:
            if query is None:
                return None
            try:
                async with asyncio.timeout_at(deadline):
                    return _number(await server.ask(query, now))
            except TimeoutError:
                return server.silent
            except Unanswered as error:
                return str(error)
            except MALFORMED:
                return server.strange

        return tuple(await asyncio.gather(*map(value_of, queries)))

    def _reading(
        self,
        target: EndpointTarget,
        scraped: "dict[PodKey, _Scraped] | str",
        values: Sequence[float | str | None],
        now: float,
    ) -> EndpointReading:
        samples: dict[str, EngineSample] = {}
        errors: dict[str, str] = {}
        for pod in target.pods:
            found = scraped if isinstance(scraped, str) else self._sample(target, pod, scraped, now)
            if isinstance(found, EngineSample):
                samples[pod.name] = found
            else:
                errors[pod.name] = found
        return EndpointReading(
            samples,
            errors,
            custom=tuple(value if isinstance(value, float) else None for value in values),
            unanswered=tuple(
                f"PromQL target {number}: {why}" for number, why in enumerate(values, 1) if isinstance(why, str)
            ),
        )

    def _sample(
        self, target: EndpointTarget, pod: PodTarget, scraped: "Mapping[PodKey, _Scraped]", now: float
    ) -> EngineSample | str:
        found = scraped.get((target.namespace, pod.name))
        if found is None:
            return (
                f"Prometheus has no target with the labels namespace={target.namespace} and pod={pod.name}: let a "
                "PodMonitor select the engine pods, or set scaling.metrics.source to Pods"
            )
        if not found.taken_at:
            return "Prometheus could not scrape the pod: its page of targets says why"
        if now - found.taken_at > self._stale_seconds:
            return (
                f"Prometheus scraped the pod longer than {self._stale_seconds:g} s ago: shorten the scrape interval, "
                "or set its clock right"
            )
        names = engine_for(target.engine).metrics
        return sample_of(
            found.samples,
            names,
            taken_at=found.taken_at,
            own_metrics=bool(found.samples),
            objective=target.scaling.demand.ttft_seconds,
        )


@dataclass(frozen=True)
class _Answers:
    """Rows as Prometheus gives them."""

    before: Sequence[Any]
    """Times of scrapes, asked before the metrics."""
    after: Sequence[Any]
    """Whether they still count, asked after the metrics."""
    by_metric: Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class _Scraped:
    """What the last scrape of one pod said."""

    taken_at: float
    """Seconds since the epoch by Prometheus' clock; 0 where the scrape failed, or one that ended while it was asked."""
    samples: dict[str, list[Sample]] = field(default_factory=dict)


async def _bounds(server: PrometheusServer, histogram: str, now: float) -> list[str]:
    """The ``le`` labels of a histogram; none where they are not told, by a proxy that passes on queries alone."""
    try:
        return await server.ask_values("le", all_of(histogram), now)
    except Unanswered:
        return []


def _collected(answers: _Answers) -> dict[PodKey, _Scraped]:
    after = {_key(entry): _value(entry) for entry in answers.after}
    times = {_key(entry): _value(entry) for entry in answers.before}
    found = {pod: _Scraped(taken_at=time if after.get(pod) else 0.0) for pod, time in times.items()}
    for name, answer in answers.by_metric.items():
        for entry in answer:
            if (pod := found.get(_key(entry))) is not None:
                pod.samples.setdefault(name, []).append(Sample(entry["metric"], _value(entry)))
    return found


def _key(entry: Mapping[str, Any]) -> PodKey:
    labels = entry["metric"]
    return labels.get("namespace", ""), labels.get("pod", "")


def _value(entry: Mapping[str, Any]) -> float:
    return float(entry["value"][1])


def _number(answer: Sequence[Any]) -> float | str:
    """The one number that a target's query has to give. NaN, a rate over nothing, is one."""
    if not answer:
        return "the query has no result: check its metric and labels, or add `or vector(0)` if nothing means 0"
    if not isinstance(answer[0], Mapping):
        value = answer[1]  # a scalar: [time, "value"]
    elif "value" not in answer[0]:
        return "the query gives a range: it has to give one number"
    elif len(answer) > 1:
        return f"the query gives {len(answer)} series: reduce them to one, with sum() for example"
    else:
        value = answer[0]["value"][1]
    try:
        number = float(value)
    except ValueError:
        return "the query gives a text: it has to give one number"
    return "the query gives an infinite number: is it divided by 0?" if math.isinf(number) else number
