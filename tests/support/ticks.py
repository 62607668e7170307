"""A ticker over a store of endpoints, with engines that answer at once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llmendpoint.api.names import COMPONENT_ENGINE, LABEL_COMPONENT, LABEL_ENDPOINT, LABEL_MANAGED_BY, MANAGED_BY
from llmendpoint.metrics.exporter import Exporter
from llmendpoint.metrics.source import EndpointReading, EndpointTarget, MetricsSource
from llmendpoint.runtime.clock import Clock
from llmendpoint.runtime.memory import Memories
from llmendpoint.runtime.queue import WorkQueue
from llmendpoint.runtime.quotas import QuotaReader
from llmendpoint.runtime.store import Key, Store
from llmendpoint.runtime.tick import Ticker
from llmendpoint.scaling.job_queue import Backlog
from support.builders import endpoint_object, pod, sample


class Fast:
    """A source that answers at once: each engine works on a request and makes no step."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    async def read(self, targets: Sequence[EndpointTarget]) -> list[EndpointReading]:
        now = self._clock()
        return [
            EndpointReading({pod.name: sample(now, running=1, steps_total=7) for pod in target.pods})
            for target in targets
        ]


def stored(more: Mapping[str, Any] | None = None, **endpoints: dict[str, Any]) -> Store:
    """Endpoints by name with their spec.scaling, each with a Deployment of one replica and a pod that is ready.

    Args:
        more: of the spec of all of them.
    """
    store = Store()
    for name, scaling_ in endpoints.items():
        labels = {LABEL_ENDPOINT: name, LABEL_COMPONENT: COMPONENT_ENGINE, LABEL_MANAGED_BY: MANAGED_BY}
        metadata = {"namespace": "team", "uid": name, "resourceVersion": "1", "generation": 1, "labels": labels}
        store.put(endpoint_object(name, scaling=scaling_, **(more or {})))
        spec = {"replicas": 1, "template": {"spec": {"containers": []}}}
        store.put({"kind": "Deployment", "metadata": {"name": f"{name}-engine", **metadata}, "spec": spec})
        made = pod(f"{name}-engine-1")
        store.put({**made, "metadata": {**made["metadata"], "labels": labels}})
    return store


async def no_quotas(namespace: str) -> list[dict[str, Any]]:
    return []


def ticker_of(
    store: Store,
    queue: WorkQueue[Key],
    clock: Callable[[], float],
    memories: Memories | None = None,
    quotas: QuotaReader | None = None,
    held: int = 0,
    backlog: Backlog | None = None,
    **others: MetricsSource,
) -> Ticker:
    return Ticker(
        store=store, memories=memories or Memories(), queue=queue, sources={"Pods": Fast(clock), **others},
        exporter=Exporter(), quotas=quotas or no_quotas, held=lambda _: held,
        backlog=lambda _: backlog, period=10.0, clock=Clock(clock, clock),
    )  # fmt: skip
