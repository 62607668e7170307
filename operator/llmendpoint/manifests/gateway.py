"""The children of spec.gateway: a route to what clients inside of the cluster use as well, or to a pool of replicas."""

from typing import Any

from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.api.gateway import InferencePool
from llmendpoint.engines import engine_for
from llmendpoint.manifests.common import Manifest, metadata, selector
from llmendpoint.manifests.service import PORT

ROUTE_KIND, ROUTE_API_VERSION = "HTTPRoute", "gateway.networking.k8s.io/v1"
POOL_KIND, POOL_GROUP = "InferencePool", "inference.networking.k8s.io"
POOL_API_VERSION = f"{POOL_GROUP}/v1"
# Zero is no limit, or the longest that the Gateway has. Left out, it is the Gateway's own, which may cut streams.
NO_TIMEOUT = "0s"
USUAL_PORTS = {"http": 80, "https": 443}


def gateway_children(endpoint: Endpoint, served: frozenset[str]) -> list[Manifest]:
    """HTTPRoute ``NAME``, after the InferencePool ``NAME`` where there is one; none without spec.gateway.

    Args:
        served: kinds of names.OPTIONAL_KINDS that the API server serves. A route leads to a pool only where there can
            be one, and to the Service meanwhile.
    """
    gateway = endpoint.spec.gateway
    if gateway is None:
        return []
    pool = gateway.inference_pool if POOL_KIND in served else None
    return [*([_pool(endpoint, pool)] if pool else []), _route(endpoint, to_pool=pool is not None)]


def public_url(endpoint: Endpoint) -> str | None:
    """Where clients outside of the cluster send requests once the route is accepted; None without a host name."""
    gateway = endpoint.spec.gateway
    name = next((name for name in gateway.hostnames if not name.startswith("*")), None) if gateway else None
    if gateway is None or name is None:
        return None
    port = gateway.parent_refs[0].port
    return f"{gateway.scheme}://{name}" + (f":{port}" if port and port != USUAL_PORTS[gateway.scheme] else "")


def _route(endpoint: Endpoint, *, to_pool: bool) -> Manifest:
    gateway = endpoint.spec.gateway
    backend: dict[str, Any] = (
        {"group": POOL_GROUP, "kind": POOL_KIND, "name": endpoint.name}
        if to_pool
        else {"group": "", "kind": "Service", "name": endpoint.name, "port": PORT}
    )
    return {
        "apiVersion": ROUTE_API_VERSION,
        "kind": ROUTE_KIND,
        "metadata": metadata(endpoint, endpoint.name, names.COMPONENT_GATEWAY),
        "spec": {
            "parentRefs": [parent.to_wire() for parent in gateway.parent_refs] if gateway else [],
            **({"hostnames": gateway.hostnames} if gateway and gateway.hostnames else {}),
            "rules": [
                {"backendRefs": [backend], "timeouts": {"request": NO_TIMEOUT, "backendRequest": NO_TIMEOUT}},
            ],
        },
    }


def _pool(endpoint: Endpoint, pool: InferencePool) -> Manifest:
    picker = pool.endpoint_picker_ref
    return {
        "apiVersion": POOL_API_VERSION,
        "kind": POOL_KIND,
        "metadata": metadata(endpoint, endpoint.name, names.COMPONENT_GATEWAY),
        "spec": {
            "selector": {"matchLabels": selector(endpoint, names.COMPONENT_ENGINE)},
            "targetPorts": [{"number": engine_for(endpoint.spec.engine.type).port}],
            "endpointPickerRef": {
                "name": picker.name,
                "port": {"number": picker.port},
                "failureMode": picker.failure_mode,
            },
        },
    }
