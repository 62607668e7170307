"""The business service: its container, and its Deployment and autoscaler where it is a service of its own."""

import math

from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.api.serving import Business
from llmendpoint.engines import engine_for
from llmendpoint.engines.facts import served_model
from llmendpoint.manifests.common import (
    RESTRICTED,
    Manifest,
    http_probe,
    is_sidecar,
    merged_env,
    metadata,
    secret_variable,
    selector,
    variable,
)
from llmendpoint.manifests.service import engine_url, queue_url

BUSINESS_CONTAINER = "business"
EXIT_SECONDS = 15
# A service that opens its port late is not to be restarted for it. Beside the engine it starts when that is ready;
# elsewhere it may wait for the engine to load.
STARTUP_SECONDS = 300
# An autoscaler on CPU knows no utilization where nothing is requested, and would never scale.
CPU_REQUEST = "500m"


def business_children(endpoint: Endpoint) -> list[Manifest]:
    """Deployment and, for more than one replica, HorizontalPodAutoscaler."""
    business = endpoint.spec.business
    if business is None or is_sidecar(endpoint):
        return []
    made = [_deployment(endpoint, business)]
    if _is_autoscaled(business):
        made.append(_autoscaler(endpoint, business))
    return made


def _is_autoscaled(business: Business) -> bool:
    """Whether an autoscaler owns the count, be it a fixed one, which it holds without any metric.

    A count that we no longer apply falls back to the API's default, 1. So the only count that is ever ours is 1:
    bounds can be opened without losing replicas.
    """
    return business.replicas.max > 1


def business_container(endpoint: Endpoint, business: Business) -> Manifest:
    """The business service's container, the same in both placements."""
    startup = STARTUP_SECONDS + (0 if is_sidecar(endpoint) else endpoint.spec.engine.startup_timeout_seconds)
    container: Manifest = {
        "name": BUSINESS_CONTAINER,
        "image": business.image,
        "env": merged_env(_injected(endpoint), business.env),
        "ports": [{"name": "business", "containerPort": business.port}],
        "startupProbe": http_probe(
            business.readiness_path, "business", period=2, timeout=5, failures=math.ceil(startup / 2)
        ),
        "readinessProbe": http_probe(business.readiness_path, "business", period=5, timeout=5, failures=3),
        "lifecycle": {"preStop": {"sleep": {"seconds": endpoint.spec.engine.pre_stop_seconds}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
        "securityContext": {**RESTRICTED, "runAsNonRoot": True, "readOnlyRootFilesystem": True},
    }
    optional = {
        "command": business.command,
        "args": business.args,
        "imagePullPolicy": business.image_pull_policy,
        "resources": business.resources.to_wire() if business.resources else None,
    }
    return container | {name: value for name, value in optional.items() if value}


def _injected(endpoint: Endpoint) -> list[Manifest]:
    port = engine_for(endpoint.spec.engine.type).port
    base = f"http://127.0.0.1:{port}" if is_sidecar(endpoint) else engine_url(endpoint)
    env = [
        variable("LLM_BASE_URL", base),
        variable("OPENAI_BASE_URL", f"{base}/v1"),
        variable("LLM_MODEL", served_model(endpoint.spec)),
        variable("LLM_ENDPOINT_NAME", endpoint.name),
    ]
    if jobs := queue_url(endpoint):
        env.append(variable("LLM_ASYNC_URL", jobs))
    key = endpoint.spec.engine.api_key_secret_ref
    return [*env, secret_variable("OPENAI_API_KEY", key)] if key else env


def _deployment(endpoint: Endpoint, business: Business) -> Manifest:
    name = f"{endpoint.name}-business"
    meta = metadata(endpoint, name, names.COMPONENT_BUSINESS)
    engine = endpoint.spec.engine
    container = business_container(endpoint, business)
    pod: Manifest = {
        "containers": [_with_cpu_request(container) if _is_autoscaled(business) else container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "terminationGracePeriodSeconds": engine.pre_stop_seconds + engine.drain_seconds + EXIT_SECONDS,
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
    }
    if engine.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in engine.image_pull_secrets]
    spec: Manifest = {
        "selector": {"matchLabels": selector(endpoint, names.COMPONENT_BUSINESS)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "revisionHistoryLimit": 3,
        "template": {"metadata": {"labels": meta["labels"]}, "spec": pod},
    }
    if not _is_autoscaled(business):
        spec["replicas"] = 1
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}


def _with_cpu_request(container: Manifest) -> Manifest:
    resources = container.get("resources", {})
    limits, requests = resources.get("limits", {}), resources.get("requests", {})
    if "cpu" in limits or "cpu" in requests:  # a limit is the request as well
        return container
    return {**container, "resources": {**resources, "requests": {**requests, "cpu": CPU_REQUEST}}}


def _autoscaler(endpoint: Endpoint, business: Business) -> Manifest:
    name = f"{endpoint.name}-business"
    utilization = {"type": "Utilization", "averageUtilization": business.replicas.target_cpu_utilization}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(endpoint, name, names.COMPONENT_BUSINESS),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": business.replicas.min,
            "maxReplicas": business.replicas.max,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": utilization}}],
        },
    }
