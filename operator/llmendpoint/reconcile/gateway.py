"""Whether Gateways lead to the endpoint, as they say in the status of its route, and what RouteAccepted says."""

from collections.abc import Iterator
from typing import Any

from llmendpoint.api.conditions import Reason
from llmendpoint.api.gateway import Gateway, ParentRef
from llmendpoint.engines import engine_for
from llmendpoint.manifests.gateway import (
    POOL_API_VERSION,
    POOL_KIND,
    ROUTE_API_VERSION,
    ROUTE_KIND,
    accepted_requests,
    public_url,
)
from llmendpoint.manifests.service import service_url
from llmendpoint.reconcile.drift import agrees
from llmendpoint.reconcile.observation import Manifest, Observation
from llmendpoint.scaling.signals import PodPhase

ASKED = ("Accepted", "ResolvedRefs")
"""Conditions that a Gateway sets of a route and of a pool."""


def route_condition(seen: Observation, gateway: Gateway) -> tuple[str, str, str]:
    """Status, reason and message of RouteAccepted, for an endpoint with spec.gateway."""
    if missing := _missing(seen, gateway):
        return "False", Reason.GATEWAY_KINDS_MISSING, missing
    if not _is_written(seen, gateway):
        return (
            "Unknown",
            Reason.ROUTE_PENDING,
            f"{ROUTE_KIND} {seen.endpoint.name} does not say yet what spec.gateway does: if that lasts, the condition "
            "Ready says why",
        )
    if refusals := list(_refusals(seen)):
        return "False", Reason.ROUTE_REFUSED, "; ".join(refusals)
    if silent := [_name(seen, parent) for parent in gateway.parent_refs if not _is_accepted(seen, parent)]:
        return (
            "Unknown",
            Reason.ROUTE_PENDING,
            f"Gateway {', '.join(silent)} has said nothing of the route yet: if that lasts, see that it exists and its "
            "controller runs",
        )
    accepted = ", ".join(_name(seen, parent) for parent in gateway.parent_refs)
    return "True", Reason.ROUTE_ACCEPTED, f"requests through Gateway {accepted} come to the endpoint"


def reachable_url(seen: Observation) -> str:
    """Where clients send requests: the host name once a Gateway leads there, else the Service."""
    gateway = seen.endpoint.spec.gateway
    inside = service_url(seen.endpoint)
    if gateway is None or not _is_written(seen, gateway):
        return inside
    parent = next((parent for parent in gateway.parent_refs if _is_accepted(seen, parent)), None)
    return (public_url(gateway, parent) if parent else None) or inside


def leads_to_replicas(seen: Observation, *, asleep: bool) -> bool:
    """Whether an InferencePool leads to all that serves: not to the activator, nor to replicas of another engine."""
    port = engine_for(seen.endpoint.spec.engine.type).port
    ready = (pod for pod in seen.engine_pods if pod.phase is PodPhase.READY)
    return not asleep and all(port in _port_numbers(pod.body) for pod in ready)


def _missing(seen: Observation, gateway: Gateway) -> str | None:
    inside = service_url(seen.endpoint)
    if ROUTE_KIND not in seen.served:
        return (
            f"{ROUTE_KIND} ({ROUTE_API_VERSION}) is not served by this cluster, or not to the operator: install the "
            f"Gateway API and a Gateway, or remove spec.gateway; inside of the cluster {inside} serves as before"
        )
    if gateway.inference_pool and POOL_KIND not in seen.served:
        return (
            f"{POOL_KIND} ({POOL_API_VERSION}) is not served by this cluster, or not to the operator: install the "
            "Gateway API Inference Extension, or remove gateway.inferencePool; until then the route leads to the "
            "Service, without a picker"
        )
    return None


def _is_written(seen: Observation, gateway: Gateway) -> bool:
    """Whether the route is for the requests that the spec names: a change may be refused, or be part of a bad spec."""
    route = seen.children.get((ROUTE_KIND, seen.endpoint.name))
    return route is not None and agrees(accepted_requests(gateway), route["spec"])


def _refusals(seen: Observation) -> Iterator[str]:
    for kind in (ROUTE_KIND, POOL_KIND):
        body = seen.children.get((kind, seen.endpoint.name))
        for parent in _parents(body):
            for entry in _current(body, parent):
                if entry["type"] in ASKED and entry["status"] == "False":
                    name = _name(seen, ParentRef.model_validate(parent["parentRef"]))
                    yield f"Gateway {name} says of {kind} {seen.endpoint.name}: {entry['reason']}: {entry['message']}"


def _is_accepted(seen: Observation, wanted: ParentRef) -> bool:
    """Whether a Gateway has said of the route as it is now all that is asked, and well."""
    route = seen.children.get((ROUTE_KIND, seen.endpoint.name))
    return any(
        {entry["type"] for entry in _current(route, parent) if entry["status"] == "True"}.issuperset(ASKED)
        for parent in _parents(route)
        if _same(seen, ParentRef.model_validate(parent["parentRef"]), wanted)
    )


def _parents(body: Manifest | None) -> list[dict[str, Any]]:
    return ((body or {}).get("status") or {}).get("parents") or []


def _current(body: Manifest | None, parent: Manifest) -> Iterator[Manifest]:
    """Conditions about the object as it is now."""
    generation = (body or {}).get("metadata", {}).get("generation", 0)
    for entry in parent.get("conditions") or ():
        if entry.get("observedGeneration", generation) >= generation:
            yield entry


def _same(seen: Observation, one: ParentRef, other: ParentRef) -> bool:
    return _place(seen, one) == _place(seen, other)


def _place(seen: Observation, parent: ParentRef) -> tuple[str, str, str, int]:
    return parent.namespace or seen.endpoint.namespace, parent.name, parent.section_name or "", parent.port or 0


def _name(seen: Observation, parent: ParentRef) -> str:
    section = f", listener {parent.section_name}" if parent.section_name else ""
    return f"{parent.namespace or seen.endpoint.namespace}/{parent.name}{section}"


def _port_numbers(pod: Manifest) -> set[int]:
    containers = pod["spec"].get("containers") or ()
    return {port["containerPort"] for container in containers for port in container.get("ports") or ()}
