"""The children of spec.gateway: a route to what clients inside of the cluster use as well, or to a pool of replicas."""

from typing import Any

from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.api.gateway import Gateway, InferencePool, ParentRef
from llmendpoint.engines import engine_for
from llmendpoint.manifests.common import Manifest, metadata, selector
from llmendpoint.manifests.service import PORT

ROUTE_KIND, ROUTE_API_VERSION = "HTTPRoute", "gateway.networking.k8s.io/v1"
POOL_KIND, POOL_GROUP = "InferencePool", "inference.networking.k8s.io"
POOL_API_VERSION = f"{POOL_GROUP}/v1"
# Zero is no limit, or the longest that the Gateway has. Left out, it is the Gateway's own, which may cut streams.
NO_TIMEOUT = "0s"
USUAL_PORTS = {"http": 80, "https": 443}


def gateway_children(endpoint: Endpoint, served: frozenset[str], *, pooled: bool = True) -> list[Manifest]:
    """HTTPRoute ``NAME``, after the InferencePool ``NAME`` where there is one; none without spec.gateway.

    Args:
        served: kinds of names.OPTIONAL_KINDS that the API server serves. A route leads to a pool only where there can
            be one, and to the Service meanwhile.
        pooled: whether the pool leads to all that serves; the route leads to the Service as long as it does not.
    """
    gateway = endpoint.spec.gateway
    if gateway is None:
        return []
    pool = gateway.inference_pool if POOL_KIND in served else None
    to_pool = pool is not None and pooled
    return [*([_pool(endpoint, pool)] if pool else []), _route(endpoint, gateway, to_pool=to_pool)]


def accepted_requests(gateway: Gateway) -> Manifest:
    """The part of a route's spec that says which requests it is for: through which Gateways, to which host names."""
    parents = [parent.to_wire() for parent in gateway.parent_refs]
    return {"parentRefs": parents, **({"hostnames": gateway.hostnames} if gateway.hostnames else {})}


def public_url(gateway: Gateway, parent: ParentRef) -> str | None:
    """Where clients outside of the cluster send requests through a Gateway; None without a host name."""
    name = next((name for name in gateway.hostnames if not name.startswith("*")), None)
    if name is None:
        return None
    port = parent.port
    return f"{gateway.scheme}://{name}" + (f":{port}" if port and port != USUAL_PORTS[gateway.scheme] else "")


def _route(endpoint: Endpoint, gateway: Gateway, *, to_pool: bool) -> Manifest:
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
            **accepted_requests(gateway),
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
