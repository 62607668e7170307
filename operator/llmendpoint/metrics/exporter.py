"""The operator's own metrics: controller-runtime's set plus the scaler's."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from llmendpoint.metrics.endpoint_series import EndpointSeries


class Exporter:
    """All metrics of the operator, in one registry.

    Labels are bounded: namespace and name exist only while the endpoint does.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.leader = Gauge(
            "llmendpoint_leader", "1 in the replica that works, 0 in one that stands by.", registry=self.registry
        )
        self.reconciles = Counter(
            "llmendpoint_reconcile_total", "Reconciles by result.", ["result"], registry=self.registry
        )
        self.reconcile_seconds = Histogram(
            "llmendpoint_reconcile_duration_seconds", "Time of one reconcile.", registry=self.registry
        )
        self.writes = Counter(
            "llmendpoint_writes_total",
            "Writes to the API server by verb and kind.",
            ["verb", "kind"],
            registry=self.registry,
        )
        self.queue_depth = Gauge("llmendpoint_queue_depth", "Keys waiting.", registry=self.registry)
        self.queue_wait = Gauge(
            "llmendpoint_queue_oldest_wait_seconds", "Wait of the oldest key.", registry=self.registry
        )
        self.tick_seconds = Histogram(
            "llmendpoint_tick_duration_seconds",
            "Time to read and decide on all endpoints.",
            registry=self.registry,
        )
        self.scrapes = Counter(
            "llmendpoint_scrapes_total",
            "Readings of engine pods by result.",
            ["result"],
            registry=self.registry,
        )
        self.endpoints = EndpointSeries()
        self.registry.register(self.endpoints)
        self.ready = Gauge(
            "llmendpoint_ready_replicas",
            "Replicas that are ready.",
            ["namespace", "name"],
            registry=self.registry,
        )
        self.running = Gauge(
            "llmendpoint_requests_running",
            "Requests that engines work on.",
            ["namespace", "name"],
            registry=self.registry,
        )
        self.waiting = Gauge(
            "llmendpoint_requests_waiting",
            "Requests that wait in engines.",
            ["namespace", "name"],
            registry=self.registry,
        )
        self.scale_changes = Counter(
            "llmendpoint_scale_changes_total",
            "Changes of the replica count.",
            ["namespace", "name", "direction"],
            registry=self.registry,
        )

    def text(self) -> bytes:
        """The exposition that /metrics answers."""
        return generate_latest(self.registry)

    def forget(self, namespace: str, name: str) -> None:
        """Drop the series of an endpoint that is gone."""
        self.endpoints.forget((namespace, name))
        for metric in (self.ready, self.running, self.waiting):
            metric.remove_by_labels({"namespace": namespace, "name": name})
        self.scale_changes.remove_by_labels({"namespace": namespace, "name": name})
