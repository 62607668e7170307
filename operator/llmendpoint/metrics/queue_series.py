"""Series of the work queue, read from it when somebody asks."""

from collections.abc import Iterator
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from llmendpoint.metrics import families
from llmendpoint.metrics.families import Family


class Queue(Protocol):
    """What a work queue knows of itself."""

    adds: int
    retries: int

    def __len__(self) -> int: ...

    @property
    def oldest_wait(self) -> float:
        """Seconds."""
        ...

    @property
    def active(self) -> int:
        """Keys that are worked on."""
        ...

    @property
    def longest_running(self) -> float:
        """Seconds."""
        ...


class QueueSeries(Collector):
    """The state of one queue."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def collect(self) -> Iterator[Metric]:
        """All series."""
        queue = self._queue
        yield _gauge(families.QUEUE_DEPTH, len(queue))
        yield _gauge(families.QUEUE_OLDEST, queue.oldest_wait)
        yield _gauge(families.QUEUE_LONGEST, queue.longest_running)
        yield _gauge(families.WORKERS_ACTIVE, queue.active)
        yield _counter(families.QUEUE_ADDS, queue.adds)
        yield _counter(families.QUEUE_RETRIES, queue.retries)


def _gauge(family: Family, value: float) -> Metric:
    return GaugeMetricFamily(family.name, family.meaning, value=value)


def _counter(family: Family, value: float) -> Metric:
    return CounterMetricFamily(family.name, family.meaning, value=value)
