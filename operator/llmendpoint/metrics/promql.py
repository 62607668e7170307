"""The queries that read the engines of all endpoints from Prometheus: one per signal, one row per pod."""

import json
import re
from collections.abc import Iterable

from llmendpoint.engines import engine_for
from llmendpoint.engines.facts import MetricNames
from llmendpoint.metrics.source import EndpointTarget

# The Deployment's name is in the pod's. A sidecar's own metrics are not the engine's; without an operator for
# Prometheus there is no label for the container.
PODS = 'pod=~".+-engine-.+"'
UP = f'up{{{PODS}, container=~"engine|"}}'
SCRAPED_AT = f"max by (namespace, pod) (timestamp({UP}) * {UP})"
"""When each pod was last scraped, in seconds since the epoch; 0 where the last scrape failed."""


def signal_queries(targets: Iterable[EndpointTarget]) -> dict[str, str]:
    """Metric name -> query, for all that the policies of these endpoints look at.

    Series that are stale, because a scrape failed or the pod has gone, are left out by Prometheus itself.
    """
    queries: dict[str, str] = {}
    for target in targets:
        names = engine_for(target.engine).metrics
        labels = ", ".join(("namespace", "pod", *names.labels))
        for name in names.wanted.difference(names.histograms):
            total = "avg" if name in names.kv_usage else "sum"
            queries[name] = f"{total} by (namespace, pod) ({_once(name, labels)})"
        # 22 rows per pod: asked only where somebody wants it.
        reads_ttft = any(wanted.type == "TTFTP95Seconds" for wanted in target.scaling.targets)
        reads_queue = target.scaling.policy == "Demand"
        for histogram, reads in ((names.ttft_bucket, reads_ttft), (names.queue_bucket, reads_queue)):
            if histogram and reads:
                queries[histogram] = f"sum by (namespace, pod, le) ({_once(histogram, f'{labels}, le')})"
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
    return _once(metric, labels, pods, last_of_seconds)


def _once(name: str, labels: str, pods: str = PODS, last_of_seconds: float | None = None) -> str:
    """Each series of an engine once: a pod that two jobs scrape shows it twice. The comparison drops NaN."""
    series = f'{{__name__="{name}", {pods}}}'
    if last_of_seconds is not None:
        series = f"last_over_time({series}[{round(1000 * last_of_seconds)}ms])"
    return f"max by ({labels}) ({series} >= 0)"
