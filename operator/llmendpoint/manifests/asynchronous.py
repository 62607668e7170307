"""The children of spec.async: the API that takes jobs, the workers that do them, and a Redis where none is named."""

from typing import Final

from llmendpoint.api import names
from llmendpoint.api.asynchronous import Asynchronous
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.engines import engine_for
from llmendpoint.manifests.activator import has_activator
from llmendpoint.manifests.common import (
    CONTROL_PORT,
    RESTRICTED,
    Manifest,
    ManifestDefaults,
    http_probe,
    secret_variable,
    variable,
)
from llmendpoint.manifests.companion import EXIT_SECONDS, companion_deployment
from llmendpoint.manifests.service import REDIS_PORT, engine_url, queue_services, redis_url, replicas_urls

QUEUE_CONTAINER: Final = "queue"
WORKER_CONTAINER: Final = "worker"
REDIS_CONTAINER: Final = "redis"
HTTP_NUMBER, CONTROL_NUMBER = 8000, 9901
# One goes on while the other is replaced or its node is drained.
API_REPLICAS = 2
# Redis refuses more, with which the API answers 503, before the kernel would kill it. It needs as much again to
# write its file anew.
REDIS_MEMORY = "384mb"
REDIS_USER = 65532
RESOURCES: Manifest = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "640Mi"}}
REDIS_RESOURCES: Manifest = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}}
TMP: Manifest = {"name": "tmp", "emptyDir": {}}


def asynchronous_children(endpoint: Endpoint, defaults: ManifestDefaults) -> list[Manifest]:
    """Deployments and Services; none without spec.async."""
    wanted = endpoint.spec.async_
    if wanted is None:
        return []
    own = wanted.redis is None
    return [
        *([_redis_deployment(endpoint, defaults)] if own else []),
        *queue_services(endpoint, with_redis=own),
        _queue_deployment(endpoint, defaults, wanted),
        _worker_deployment(endpoint, defaults, wanted),
    ]


def _queue_deployment(endpoint: Endpoint, defaults: ManifestDefaults, wanted: Asynchronous) -> Manifest:
    seconds = endpoint.spec.engine.pre_stop_seconds
    args = [
        "serve",
        f"--port={HTTP_NUMBER}",
        *_common_args(endpoint, wanted),
        f"--max-queued={wanted.max_queued}",
        *([f"--webhook-hosts={','.join(wanted.webhook.allowed_hosts)}"] if wanted.webhook else []),
    ]
    container = {
        **_container(endpoint, defaults, wanted, QUEUE_CONTAINER, args, [("http", HTTP_NUMBER)]),
        "lifecycle": {"preStop": {"sleep": {"seconds": seconds}}},
    }
    return companion_deployment(
        endpoint, names.COMPONENT_QUEUE, container, replicas=API_REPLICAS, grace_seconds=seconds + EXIT_SECONDS,
        volumes=[TMP],
    )  # fmt: skip


def _worker_deployment(endpoint: Endpoint, defaults: ManifestDefaults, wanted: Asynchronous) -> Manifest:
    # Where an endpoint may sleep it is the backlog that wakes it: no request of a worker waits in an activator.
    engine = replicas_urls(endpoint)[0] if has_activator(endpoint) else engine_url(endpoint)
    args = [
        "work",
        *_common_args(endpoint, wanted),
        f"--engine-url={engine}",
        f"--health-path={engine_for(endpoint.spec.engine.type).health_path}",
        f"--concurrency={wanted.workers.concurrency}",
        f"--max-attempts={wanted.max_attempts}",
        f"--timeout={wanted.timeout_seconds}",
        f"--grace={wanted.timeout_seconds}",
    ]
    return companion_deployment(
        endpoint, names.COMPONENT_WORKER, _container(endpoint, defaults, wanted, WORKER_CONTAINER, args, []),
        replicas=wanted.workers.replicas, grace_seconds=wanted.timeout_seconds + EXIT_SECONDS, volumes=[TMP],
    )  # fmt: skip


def _common_args(endpoint: Endpoint, wanted: Asynchronous) -> list[str]:
    return [
        f"--control-port={CONTROL_NUMBER}",
        f"--name={endpoint.namespace}/{endpoint.name}",
        f"--result-ttl={wanted.result_ttl_seconds}",
        *(["--webhooks"] if wanted.webhook else []),
    ]


def _container(
    endpoint: Endpoint,
    defaults: ManifestDefaults,
    wanted: Asynchronous,
    name: str,
    args: list[str],
    ports: list[tuple[str, int]],
) -> Manifest:
    key = endpoint.spec.engine.api_key_secret_ref
    hook = wanted.webhook if name == WORKER_CONTAINER else None  # which sends the results as well
    return {
        "name": name,
        "image": defaults.queue_image,
        "command": ["/app/bin/python", "-m", "jobqueue"],
        "args": args,
        "env": [
            secret_variable("REDIS_URL", wanted.redis.url_secret_ref)
            if wanted.redis
            else variable("REDIS_URL", redis_url(endpoint)),
            *([secret_variable("OPENAI_API_KEY", key)] if key else []),
            *([secret_variable("WEBHOOK_SECRET", hook.secret_ref)] if hook else []),
        ],
        "ports": [{"name": port, "containerPort": number} for port, number in [*ports, (CONTROL_PORT, CONTROL_NUMBER)]],
        "readinessProbe": http_probe("/readyz", CONTROL_PORT, period=2, timeout=5, failures=3),
        "livenessProbe": http_probe("/livez", CONTROL_PORT, period=20, timeout=10, failures=3),
        "resources": RESOURCES,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
        "securityContext": {**RESTRICTED, "readOnlyRootFilesystem": True},
    }


def _redis_deployment(endpoint: Endpoint, defaults: ManifestDefaults) -> Manifest:
    """One pod whose file outlives its container, and nothing else."""
    options = {
        "--dir": "/data",
        "--appendonly": "yes",
        "--save": "",
        "--maxmemory": REDIS_MEMORY,
        "--maxmemory-policy": "noeviction",
        "--protected-mode": "no",
    }
    probe = {"tcpSocket": {"port": REDIS_CONTAINER}, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 3}
    container: Manifest = {
        "name": REDIS_CONTAINER,
        "image": defaults.redis_image,
        "command": ["redis-server"],
        "args": [word for option in options.items() for word in option],
        "ports": [{"name": REDIS_CONTAINER, "containerPort": REDIS_PORT}],
        "readinessProbe": probe,
        "livenessProbe": {**probe, "periodSeconds": 20, "timeoutSeconds": 10},
        "resources": REDIS_RESOURCES,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "securityContext": {**RESTRICTED, "readOnlyRootFilesystem": True},
    }
    return companion_deployment(
        endpoint, names.COMPONENT_REDIS, container, replicas=1, grace_seconds=30, strategy={"type": "Recreate"},
        volumes=[{"name": "data", "emptyDir": {}}], runAsUser=REDIS_USER, fsGroup=REDIS_USER,
    )  # fmt: skip
