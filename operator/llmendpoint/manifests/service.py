"""The Services: one that clients use, one that leads to the engine."""

from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.engines import engine_for
from llmendpoint.manifests.common import Manifest, is_sidecar, metadata, selector


def services(endpoint: Endpoint) -> list[Manifest]:
    """``NAME`` leads to the business service where there is one, ``NAME-engine`` always to the engine."""
    engine_port: int | str = "http"
    if endpoint.spec.business is None:
        front = _service(endpoint, endpoint.name, names.COMPONENT_ENGINE, engine_port)
    elif is_sidecar(endpoint):
        front = _service(endpoint, endpoint.name, names.COMPONENT_ENGINE, "business")
        # The engine is a native sidecar here, among whose ports Kubernetes before 1.33 finds none by name.
        engine_port = engine_for(endpoint.spec.engine.type).port
    else:
        front = _service(endpoint, endpoint.name, names.COMPONENT_BUSINESS, "business")
    return [front, _service(endpoint, f"{endpoint.name}-engine", names.COMPONENT_ENGINE, engine_port)]


def service_url(endpoint: Endpoint) -> str:
    """Where clients send requests inside the cluster."""
    return f"http://{endpoint.name}.{endpoint.namespace}.svc:80"


def engine_url(endpoint: Endpoint) -> str:
    """Where the business service finds the engine."""
    return f"http://{endpoint.name}-engine.{endpoint.namespace}.svc:80"


def _service(endpoint: Endpoint, name: str, component: str, target_port: int | str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(endpoint, name, component),
        "spec": {
            "selector": selector(endpoint, component),
            "ports": [{"name": "http", "port": 80, "targetPort": target_port, "protocol": "TCP"}],
        },
    }
