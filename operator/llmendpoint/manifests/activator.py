"""The activator of an endpoint that may have no replica: two pods that hold requests until one is ready."""

from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.api.scaling import Scaling
from llmendpoint.engines import engine_for
from llmendpoint.manifests.common import (
    CONTROL_NUMBERS,
    CONTROL_PORT,
    RESTRICTED,
    Manifest,
    ManifestDefaults,
    http_probe,
    is_sidecar,
)
from llmendpoint.manifests.companion import EXIT_SECONDS, companion_deployment
from llmendpoint.manifests.service import replicas_urls

ACTIVATOR_CONTAINER = "activator"
# One goes on while the other is replaced or its node is drained.
REPLICAS = 2
RESOURCES: Manifest = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "640Mi"}}


def has_activator(endpoint: Endpoint) -> bool:
    """Whether the scaler may take the last replica of an endpoint away."""
    scaling = endpoint.spec.scaling
    return scaling is not None and scaling.mode == "Active" and scaling.reaches_zero


def activator_deployment(endpoint: Endpoint, defaults: ManifestDefaults) -> Manifest:
    """The activator's Deployment."""
    scaling = endpoint.spec.scaling or Scaling(max_replicas=1)
    engine = endpoint.spec.engine
    # What it holds when it is told to stop may still wait for the whole time limit, and then be a long stream.
    grace = engine.pre_stop_seconds + scaling.activator.timeout_seconds + engine.drain_seconds + EXIT_SECONDS
    return companion_deployment(
        endpoint, names.COMPONENT_ACTIVATOR, _container(endpoint, defaults, scaling),
        replicas=REPLICAS, grace_seconds=grace,
    )  # fmt: skip


def _container(endpoint: Endpoint, defaults: ManifestDefaults, scaling: Scaling) -> Manifest:
    """It listens where the replicas do, so that a Service needs no other port to lead to it."""
    facts = engine_for(endpoint.spec.engine.type)
    ports = [("http", facts.port)]
    if endpoint.spec.business and is_sidecar(endpoint):
        ports.append(("business", endpoint.spec.business.port))
    control = next(number for number in CONTROL_NUMBERS if number not in [port for _, port in ports])
    return {
        "name": ACTIVATOR_CONTAINER,
        "image": defaults.activator_image,
        "command": ["/app/bin/python", "-m", "activator"],
        "args": [
            *(f"--route={port}={url}" for (_, port), url in zip(ports, replicas_urls(endpoint), strict=True)),
            f"--control-port={control}",
            f"--max-requests={scaling.activator.max_requests}",
            f"--timeout={scaling.activator.timeout_seconds}",
            f"--health-path={facts.health_path}",
        ],
        "ports": [{"name": name, "containerPort": port} for name, port in [*ports, (CONTROL_PORT, control)]],
        "readinessProbe": http_probe("/readyz", CONTROL_PORT, period=2, timeout=5, failures=3),
        "livenessProbe": http_probe("/readyz", CONTROL_PORT, period=20, timeout=10, failures=3),
        "lifecycle": {"preStop": {"sleep": {"seconds": endpoint.spec.engine.pre_stop_seconds}}},
        "resources": RESOURCES,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {**RESTRICTED, "readOnlyRootFilesystem": True},
    }
