"""When what serves makes way for what is to serve instead: not before the other one does.

The Service that clients use may move to another backend, and the engine from a Deployment to a LeaderWorkerSet or back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmendpoint.api import names
from llmendpoint.manifests.workload import LEADER_WORKER_SET, WORKLOADS
from llmendpoint.reconcile.observation import ChildKey, Manifest, Observation, rolling_out
from llmendpoint.scaling.signals import PodPhase


@dataclass(frozen=True)
class Backend:
    """Where a Service leads: a component and the name of a port of its pods."""

    component: str
    port: str


def held_back(seen: Observation, wanted: Mapping[ChildKey, Mapping[str, Any]]) -> frozenset[ChildKey]:
    """Children that must stay as they are until those that follow them serve.

    Empty when nothing moves, when what follows serves, or when what was before does not either.
    """
    return _backend_held_back(seen, wanted) | _engine_held_back(seen)


def _engine_held_back(seen: Observation) -> frozenset[ChildKey]:
    """What made the engine's replicas before. With rollout Recreate it goes as soon as what follows is there."""
    before, after = seen.predecessor, seen.workload_of(names.COMPONENT_ENGINE)
    if before is None:
        return frozenset()
    is_group = before["kind"] == LEADER_WORKER_SET
    ready = [bool(pod.group) is is_group for pod in seen.engine_pods if pod.phase is PodPhase.READY]
    if after is not None:
        has_taken_over = ready.count(False) >= after["spec"].get("replicas", 1)
        if seen.endpoint.spec.engine.rollout == "Recreate" or has_taken_over or True not in ready:
            return frozenset()
    return frozenset({(before["kind"], before["metadata"]["name"])})


def _backend_held_back(seen: Observation, wanted: Mapping[ChildKey, Mapping[str, Any]]) -> frozenset[ChildKey]:
    """The front Service and its backend."""
    front: ChildKey = ("Service", seen.endpoint.name)
    if front not in seen.children or front not in wanted:
        return frozenset()
    old, new = _backend_of(seen.children[front]), _backend_of(wanted[front])
    # Between the engine and the activator there is a rule of its own (sleeping.py).
    if {old.component, new.component} == {names.COMPONENT_ACTIVATOR, names.COMPONENT_ENGINE}:
        return frozenset()
    if old == new or not _serves(seen, old) or _has_taken_over(seen, new):
        return frozenset()
    return frozenset(
        {front, *(key for key, body in seen.children.items() if _is_backend(body, old) and not _is_backend(body, new))}
    )


def _backend_of(service: Mapping[str, Any]) -> Backend:
    spec = service["spec"]
    return Backend(spec["selector"].get(names.LABEL_COMPONENT, ""), str(spec["ports"][0].get("targetPort", "")))


def _is_backend(child: Manifest, backend: Backend) -> bool:
    """Whether a child belongs to the component that a Service leads to; its pods end with it or change with it."""
    return (
        child["kind"] in {*WORKLOADS, "HorizontalPodAutoscaler"}
        and child["metadata"]["labels"].get(names.LABEL_COMPONENT) == backend.component
    )


def _serves(seen: Observation, backend: Backend) -> bool:
    return any(
        pod.phase is PodPhase.READY and pod.component == backend.component and backend.port in _port_names(pod.body)
        for pod in seen.pods
    )


def _has_taken_over(seen: Observation, backend: Backend) -> bool:
    workload = seen.workload_of(backend.component)
    return workload is not None and not rolling_out(workload) and _serves(seen, backend)


def _port_names(pod: Manifest) -> set[str]:
    spec = pod["spec"]
    containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    return {port.get("name", "") for container in containers for port in container.get("ports", [])}
