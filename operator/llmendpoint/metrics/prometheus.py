"""The other source: a Prometheus server, asked once per signal for all endpoints that name it."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_api_client import PrometheusApiClientException, PrometheusConnect
from requests.exceptions import RequestException

from llmendpoint.engines import engine_for
from llmendpoint.metrics.extract import sample_of
from llmendpoint.metrics.parser import Sample
from llmendpoint.metrics.source import EndpointReading, EndpointTarget
from llmendpoint.scaling.signals import EngineSample

LOOKBACK = "30s"
TIMEOUT_SECONDS = 5

Series = dict[tuple[str, str], dict[str, list[Sample]]]
"""(namespace, pod) -> metric name -> samples"""


class PrometheusReader:
    """Reads engine metrics from Prometheus servers by the labels ``namespace`` and ``pod`` that a PodMonitor sets."""

    def __init__(self) -> None:
        self._servers: dict[str, PrometheusConnect] = {}

    async def read(self, targets: Sequence[EndpointTarget]) -> list[EndpointReading]:
        """One reading per target, in the same order. Never raises."""
        by_url: dict[str, list[EndpointTarget]] = {}
        for target in targets:
            prometheus = target.scaling.metrics.prometheus
            by_url.setdefault(prometheus.url if prometheus else "", []).append(target)
        answers = await asyncio.gather(*(asyncio.to_thread(self._ask, url, some) for url, some in by_url.items()))
        readings = {
            (target.namespace, target.name): reading
            for some, found in zip(by_url.values(), answers, strict=True)
            for target, reading in zip(some, found, strict=True)
        }
        return [readings[target.namespace, target.name] for target in targets]

    def _ask(self, url: str, targets: Sequence[EndpointTarget]) -> list[EndpointReading]:
        wanted = sorted({name for target in targets for name in engine_for(target.engine).metrics.wanted})
        try:
            server = self._server(url)
            series: Series = {}
            for name in wanted:
                # last_over_time bounds the age: an instant query alone would answer five minutes old values.
                _collect(series, name, server.custom_query(f'last_over_time({{__name__="{name}"}}[{LOOKBACK}])'))
            return [_reading(target, series, self._custom(server, target)) for target in targets]
        except (RequestException, PrometheusApiClientException, ValueError, KeyError) as error:
            why = f"Prometheus at {url} did not answer: {type(error).__name__}: {error}"[:500]
            return [EndpointReading(errors={pod.name: why for pod in target.pods}) for target in targets]

    def _server(self, url: str) -> PrometheusConnect:
        if url not in self._servers:
            self._servers[url] = PrometheusConnect(url=url, timeout=TIMEOUT_SECONDS)
        return self._servers[url]

    def _custom(self, server: PrometheusConnect, target: EndpointTarget) -> tuple[float | None, ...]:
        values: list[float | None] = []
        for wanted in target.scaling.targets:
            if wanted.query is None:
                values.append(None)
                continue
            query = wanted.query.replace("$namespace", target.namespace).replace("$name", target.name)
            answer = server.custom_query(query)
            values.append(float(answer[0]["value"][1]) if answer else None)
        return tuple(values) if any(value is not None for value in values) else ()


def _collect(series: Series, name: str, answer: Sequence[Mapping[str, Any]]) -> None:
    for entry in answer:
        labels = entry["metric"]
        pod = series.setdefault((labels.get("namespace", ""), labels.get("pod", "")), {})
        pod.setdefault(name, []).append(Sample(labels, float(entry["value"][1])))


def _reading(target: EndpointTarget, series: Series, custom: tuple[float | None, ...]) -> EndpointReading:
    names = engine_for(target.engine).metrics
    samples, errors = {}, {}
    for pod in target.pods:
        found = series.get((target.namespace, pod.name))
        if found is None:
            errors[pod.name] = f"Prometheus has no {names.prefix} series of pod {pod.name} in the last {LOOKBACK}"
            continue
        sample = sample_of(found, names, taken_at=time.time(), own_metrics=True)
        if isinstance(sample, EngineSample):
            samples[pod.name] = sample
    return EndpointReading(samples, errors, custom)
