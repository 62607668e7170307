"""The operator's own metrics in one registry: controller-runtime's set, the scaler's, and those of each endpoint."""

import time

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from llmendpoint.metrics import families
from llmendpoint.metrics.endpoint_series import EndpointSeries
from llmendpoint.metrics.families import Family
from llmendpoint.metrics.queue_series import Queue, QueueSeries

# client-go's.
API_BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
TICK_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0)
RECONCILE_RESULTS = ("ok", "error", "bug")
SCRAPE_RESULTS = ("ok", "empty", "error", "refused", "timeout")


class Exporter:
    """All metrics of the operator.

    Labels are bounded: namespace and name exist only while the endpoint does.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)

        self.leader = self._gauge(families.LEADER)
        self.reconciles = self._counter(families.RECONCILES, results=RECONCILE_RESULTS)
        self.reconcile_seconds = self._histogram(families.RECONCILE_SECONDS)
        self.workers = self._gauge(families.WORKERS)
        self.queue_seconds = self._histogram(families.QUEUE_SECONDS)
        self._api_requests = self._counter(families.API_REQUESTS)
        self._api_seconds = self._histogram(families.API_SECONDS, API_BUCKETS)
        self.writes = self._counter(families.WRITES)
        self.resyncs = self._counter(families.RESYNCS, results=RECONCILE_RESULTS)
        self.resync_at = self._gauge(families.RESYNC_AT)

        self.tick_period = self._gauge(families.TICK_PERIOD)
        self._tick_seconds = self._histogram(families.TICK_SECONDS, TICK_BUCKETS)
        self._tick_overruns = self._counter(families.TICK_OVERRUNS)
        self.tick_errors = self._counter(families.TICK_ERRORS)
        self.scrapes = self._counter(families.SCRAPES, results=SCRAPE_RESULTS)

        self.endpoints = EndpointSeries()
        self.registry.register(self.endpoints)

    def watch(self, queue: Queue) -> None:
        """Put out the state of the work queue too."""
        self.registry.register(QueueSeries(queue))

    def answered(self, verb: str, code: str, seconds: float) -> None:
        """The API server answered a request, or did not."""
        self._api_requests.labels(verb, code).inc()
        self._api_seconds.labels(verb).observe(seconds)

    def ticked(self, seconds: float, period: float) -> None:
        """A tick has ended."""
        self._tick_seconds.observe(seconds)
        if seconds > period:
            self._tick_overruns.inc()

    def resynced(self) -> None:
        """A listing of all objects has succeeded."""
        self.resyncs.labels("ok").inc()
        self.resync_at.set(time.time())

    def text(self) -> bytes:
        """The exposition that /metrics answers."""
        return generate_latest(self.registry)

    def _counter(self, family: Family, *, results: tuple[str, ...] = ()) -> Counter:
        counter = Counter(family.name, family.meaning, family.labels, registry=self.registry)
        for result in results:  # 0 from the start on, or a rate would miss the first one
            counter.labels(result)
        return counter

    def _gauge(self, family: Family) -> Gauge:
        return Gauge(family.name, family.meaning, family.labels, registry=self.registry)

    def _histogram(self, family: Family, buckets: tuple[float, ...] = Histogram.DEFAULT_BUCKETS) -> Histogram:
        return Histogram(family.name, family.meaning, family.labels, registry=self.registry, buckets=buckets)
