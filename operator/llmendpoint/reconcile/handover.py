"""When the Service that clients use moves from one backend to another: not before the other one serves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmendpoint.api import names
from llmendpoint.reconcile.observation import ChildKey, Manifest, Observation, rolling_out
from llmendpoint.scaling.signals import PodPhase


@dataclass(frozen=True)
class Backend:
    """Where a Service leads: a component and the name of a port of its pods."""

    component: str
    port: str


def held_back(seen: Observation, wanted: Mapping[ChildKey, Mapping[str, Any]]) -> frozenset[ChildKey]:
    """Children that must stay as they are until the new backend of the front Service is ready.

    Empty when the Service does not move, when the new backend serves, or when the old one does not either.
    """
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
        child["kind"] in {"Deployment", "HorizontalPodAutoscaler"}
        and child["metadata"]["labels"].get(names.LABEL_COMPONENT) == backend.component
    )


def _serves(seen: Observation, backend: Backend) -> bool:
    return any(
        pod.phase is PodPhase.READY and pod.component == backend.component and backend.port in _port_names(pod.body)
        for pod in seen.pods
    )


def _has_taken_over(seen: Observation, backend: Backend) -> bool:
    deployment = seen.deployment_of(backend.component)
    return deployment is not None and not rolling_out(deployment) and _serves(seen, backend)


def _port_names(pod: Manifest) -> set[str]:
    spec = pod["spec"]
    containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    return {port.get("name", "") for container in containers for port in container.get("ports", [])}
