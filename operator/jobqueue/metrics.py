"""What API and workers count, for Prometheus. All names begin with llmendpoint_jobs_."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jobqueue.jobs import Backlog

SECONDS = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 21600)


class ApiMetrics(Collector):
    """Of the API, and of the queue as Redis has it: every API server says the same of that."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.backlog: Backlog | None = None
        """What is told of the queue; None, and so nothing, where Redis did not say."""
        self.submitted = Counter(
            "llmendpoint_jobs_submitted",
            "Jobs sent by what became of them: queued, repeated, conflict (of an idempotency key), full.",
            ["result"],
            registry=self.registry,
        )
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """The queue."""
        if (backlog := self.backlog) is None:
            return
        for name, meaning, value in (
            ("queued", "Jobs that no worker has taken.", backlog.queued),
            ("in_progress", "Jobs that a worker has, or that wait for another attempt.", backlog.in_progress),
            ("oldest_seconds", "How long the oldest job that no worker has taken waits.", backlog.oldest_seconds),
            ("webhooks_waiting", "Webhooks that are not delivered yet.", backlog.webhooks),
        ):
            yield GaugeMetricFamily(f"llmendpoint_jobs_{name}", meaning, value)
        ended = CounterMetricFamily("llmendpoint_jobs_ended", "Jobs by how they ended.", labels=["status"])
        for status in ("completed", "failed", "cancelled"):
            ended.add_metric([status], backlog.ended.get(status, 0))
        yield ended


class WorkerMetrics:
    """Of one worker."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.attempts = Counter(
            "llmendpoint_jobs_attempts",
            "Attempts by result: answered, failed, lost (cancelled, or taken over), too_late (answered all the same), "
            "given_back (the worker ended), shut_out (the engine wants another key).",
            ["result"],
            registry=self.registry,
        )
        self.taken_over = Counter(
            "llmendpoint_jobs_taken_over",
            "Jobs taken that another worker had left, or whose last attempt had failed.",
            registry=self.registry,
        )
        self.running = Gauge("llmendpoint_jobs_running", "Jobs that this worker has.", registry=self.registry)
        self.engine_ready = Gauge(
            "llmendpoint_jobs_engine_ready", "1 while the engine takes requests.", registry=self.registry
        )
        self.wait_seconds = Histogram(
            "llmendpoint_jobs_wait_seconds",
            "Time from a job's arrival to the beginning of an attempt.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.run_seconds = Histogram(
            "llmendpoint_jobs_run_seconds", "Time of one attempt.", buckets=SECONDS, registry=self.registry
        )
        self.tokens = Counter(
            "llmendpoint_jobs_tokens", "Tokens of answers, by kind.", ["kind"], registry=self.registry
        )
        self.webhooks = Counter(
            "llmendpoint_jobs_webhooks",
            "Webhooks by result: delivered, failed (once), given_up.",
            ["result"],
            registry=self.registry,
        )
