"""The queries that read the engines of all endpoints from Prometheus: one per signal, one row per pod."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence

from llmendpoint.engines import engine_for
from llmendpoint.engines.facts import MetricNames
from llmendpoint.metrics.extract import bound_of
from llmendpoint.metrics.source import EndpointTarget
from llmendpoint.scaling.target_tracking import reads_ttft

# The Deployment's name is in the pod's. A sidecar's own metrics are not the engine's; without an operator for
# Prometheus there is no label for the container.
PODS = 'pod=~".+-engine-.+"'
UP = f'up{{{PODS}, container=~"engine|"}}'
SCRAPED_AT = f"max by (namespace, pod) (timestamp({UP}) * {UP})"
"""When each pod was last scraped, in seconds since the epoch; 0 where the last scrape failed."""
IS_UP = f"max by (namespace, pod) ({UP})"
"""1 for each pod whose last scrape did not fail, else 0."""
# Characters. A tenant's engine can show any bounds, and a query has to fit into an address; vLLM's are 80.
LONGEST_BOUNDS = 1_000


def queue_objectives(targets: Iterable[EndpointTarget]) -> dict[str, set[float]]:
    """Histogram of waits in the queue -> seconds at which the Demand policy of these endpoints looks into it."""
    found: dict[str, set[float]] = {}
    for target in targets:
        histogram = engine_for(target.engine).metrics.queue_bucket
        if histogram and target.scaling.policy == "Demand":
            found.setdefault(histogram, set()).add(target.scaling.demand.ttft_seconds)
    return found


def all_of(name: str, pods: str = PODS) -> str:
    """The selector of a metric's series on pods, the engines' where no others are named."""
    return f'{{__name__="{name}", {pods}}}'


def signal_queries(
    targets: Iterable[EndpointTarget], objectives: Mapping[str, Iterable[float]], bounds: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Metric name -> query, for all that the policies of these endpoints look at.

    Series that are stale, because a scrape failed or the pod has gone, are left out by Prometheus itself.

    Args:
        objectives: queue_objectives() of these endpoints.
        bounds: the ``le`` labels of each of these histograms as the server has them; all are asked where none is told.
    """
    queries: dict[str, str] = {}
    for target in targets:
        names = engine_for(target.engine).metrics
        labels = ", ".join(("namespace", "pod", *names.labels))
        for name in names.wanted.difference(names.histograms):
            total = "avg" if name in names.kv_usage else "sum"
            queries[name] = f"{total} by (namespace, pod) ({_once(name, labels, PODS + _counting(name, names))})"
        # 22 rows per pod: asked only where somebody wants it.
        if names.ttft_bucket and reads_ttft(target.scaling):
            queries[names.ttft_bucket] = _buckets(names.ttft_bucket, labels, PODS)
        if names.queue_bucket and names.queue_bucket in objectives:
            known, pods = bounds[names.queue_bucket], PODS + _counting(names.queue_bucket, names)
            if 0 < sum(map(len, known)) <= LONGEST_BOUNDS:
                near = "|".join(map(re.escape, _near(objectives[names.queue_bucket], known)))
                pods += f", le=~{json.dumps(near)}"
            queries[names.queue_bucket] = _buckets(names.queue_bucket, labels, pods)
    return queries


def endpoint_query(
    metric: str, names: MetricNames, namespace: str, name: str, *, last_of_seconds: float | None = None
) -> str:
    """All series of one metric on the engine pods of one endpoint, each once.

    Args:
        last_of_seconds: also series that ended, with their last value of so many seconds.
    """
    labels = ", ".join(("namespace", "pod", *names.labels))
    pods = f"namespace={json.dumps(namespace)}, pod=~{json.dumps(f'{re.escape(name)}-engine-.+')}"
    return _once(metric, labels, pods + _counting(metric, names), last_of_seconds)


def _counting(metric: str, names: MetricNames) -> str:
    """Matchers of the series that count; an empty one fits a label that is absent."""
    wanted = names.counting.get(metric, {})
    return "".join(f", {label}=~{json.dumps(f'|{re.escape(value)}')}" for label, value in wanted.items())


def _buckets(histogram: str, labels: str, pods: str) -> str:
    return f"sum by (namespace, pod, le) ({_once(histogram, f'{labels}, le', pods)})"


def _near(objectives: Iterable[float], labels: Iterable[str]) -> list[str]:
    """The bounds around each of these times, and the last one, which counts all: histogram.above() needs no other.

    The labels are those of all engines together. One whose bounds are its own must not hide those of the others, so
    all from half to twice the time are taken, and where there is none the next one.
    """
    bounds = {label: bound for label in labels if not math.isnan(bound := bound_of(label))}
    wanted = {math.inf}
    for objective in objectives:
        below = max((bound for bound in bounds.values() if bound <= objective), default=objective)
        beyond = min((bound for bound in bounds.values() if bound > objective), default=objective)
        lowest, highest = min(below, objective / 2), max(beyond, objective * 2)
        wanted.update(bound for bound in bounds.values() if lowest <= bound <= highest)
    return sorted(label for label, bound in bounds.items() if bound in wanted)


def _once(name: str, labels: str, pods: str = PODS, last_of_seconds: float | None = None) -> str:
    """Each series of an engine once: a pod that two jobs scrape shows it twice. The comparison drops NaN."""
    series = all_of(name, pods)
    if last_of_seconds is not None:
        series = f"last_over_time({series}[{round(1000 * last_of_seconds)}ms])"
    return f"max by ({labels}) ({series} >= 0)"
