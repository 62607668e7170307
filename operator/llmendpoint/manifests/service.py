"""The Services: one that clients use, one that leads to the engine, one that leads to nobody but ready replicas."""

from collections.abc import Mapping
from typing import Any

from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.engines import engine_for
from llmendpoint.manifests.common import Manifest, hashed, is_sidecar, metadata, selector

# Of the Services that clients send requests and jobs to.
PORT = 80
REDIS_PORT = 6379
Port = tuple[str, int, int | str]
"""(name, port of the Service, port of the pods)"""


def services(endpoint: Endpoint, *, asleep: bool = False) -> list[Manifest]:
    """``NAME`` leads to the business service where there is one, ``NAME-engine`` always to the engine.

    Args:
        asleep: the activator stands in for the engine's pods. It has their ports.
    """
    replicas = names.COMPONENT_ACTIVATOR if asleep else names.COMPONENT_ENGINE
    engine, business = _engine_port(endpoint), ("http", PORT, "business")
    behind = f"{endpoint.name}-engine"
    if endpoint.spec.business is None:
        front = _service(endpoint, endpoint.name, names.COMPONENT_ENGINE, replicas, engine)
    elif is_sidecar(endpoint):
        front = _service(endpoint, endpoint.name, names.COMPONENT_ENGINE, replicas, business)
    else:
        front = _service(endpoint, endpoint.name, names.COMPONENT_BUSINESS, names.COMPONENT_BUSINESS, business)
    return [front, _service(endpoint, behind, names.COMPONENT_ENGINE, replicas, engine)]


def replicas_service(endpoint: Endpoint, *, asleep: bool) -> Manifest:
    """``NAME-replicas``, by which the activator finds ready replicas.

    It leads nowhere while the endpoint sleeps: a Service without ready pods falls back to those that drain.
    """
    target = names.COMPONENT_NONE if asleep else names.COMPONENT_ENGINE
    return _service(endpoint, _replicas_name(endpoint), names.COMPONENT_ENGINE, target, *_replicas_ports(endpoint))


def queue_services(endpoint: Endpoint, *, with_redis: bool) -> list[Manifest]:
    """``NAME-queue``, where clients send jobs, and ``NAME-redis`` where the operator runs one."""
    parts = [(names.COMPONENT_QUEUE, ("http", PORT, "http"))]
    if with_redis:
        parts.append((names.COMPONENT_REDIS, ("redis", REDIS_PORT, "redis")))
    return [_service(endpoint, f"{endpoint.name}-{part}", part, part, port) for part, port in parts]


def redirected(endpoint: Endpoint, service: Mapping[str, Any], *, asleep: bool) -> Manifest:
    """A Service to the engine as it is on the API server, but for whom it leads to."""
    name = service["metadata"]["name"]
    stand_in = names.COMPONENT_NONE if name == _replicas_name(endpoint) else names.COMPONENT_ACTIVATOR
    ports = [(port["name"], port["port"], port["targetPort"]) for port in service["spec"]["ports"]]
    target = stand_in if asleep else names.COMPONENT_ENGINE
    return hashed(_service(endpoint, name, names.COMPONENT_ENGINE, target, *ports))


def service_url(endpoint: Endpoint) -> str:
    """Where clients send requests inside the cluster."""
    return f"http://{endpoint.name}.{endpoint.namespace}.svc:{PORT}"


def engine_url(endpoint: Endpoint) -> str:
    """Where the business service finds the engine."""
    return f"http://{endpoint.name}-engine.{endpoint.namespace}.svc:{PORT}"


def queue_url(endpoint: Endpoint) -> str | None:
    """Where clients send jobs inside the cluster; None where they can not."""
    if endpoint.spec.async_ is None:
        return None
    return f"http://{endpoint.name}-{names.COMPONENT_QUEUE}.{endpoint.namespace}.svc:{PORT}"


def redis_url(endpoint: Endpoint) -> str:
    """Where the Redis for development is."""
    return f"redis://{endpoint.name}-{names.COMPONENT_REDIS}.{endpoint.namespace}.svc:{REDIS_PORT}/0"


def replicas_urls(endpoint: Endpoint) -> list[str]:
    """Where activator and workers find replicas: their engine and, if it is beside it, their business service."""
    host = f"{_replicas_name(endpoint)}.{endpoint.namespace}.svc"
    return [f"http://{host}:{port}" for _, port, _ in _replicas_ports(endpoint)]


def _replicas_name(endpoint: Endpoint) -> str:
    return f"{endpoint.name}-replicas"


def _replicas_ports(endpoint: Endpoint) -> list[Port]:
    return [_engine_port(endpoint), *([("business", 81, "business")] if is_sidecar(endpoint) else [])]


def _engine_port(endpoint: Endpoint) -> Port:
    # Beside a business service the engine is a native sidecar, among whose ports Kubernetes before 1.33 finds none by
    # name.
    return "http", PORT, engine_for(endpoint.spec.engine.type).port if is_sidecar(endpoint) else "http"


def _service(endpoint: Endpoint, name: str, component: str, target: str, *ports: Port) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(endpoint, name, component),
        "spec": {
            "selector": selector(endpoint, target),
            "ports": [
                {"name": port_name, "port": port, "targetPort": target_port, "protocol": "TCP"}
                for port_name, port, target_port in ports
            ],
        },
    }
