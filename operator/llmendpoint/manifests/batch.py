"""What a batch becomes: an Indexed Job with one pod for each shard and, where it has its own, an LLMEndpoint."""

from llmendpoint.api import names
from llmendpoint.api.batch import Batch
from llmendpoint.api.endpoint import Endpoint, EndpointSpec
from llmendpoint.api.sources import Source
from llmendpoint.engines import engine_for
from llmendpoint.manifests.common import (
    CONTROL_PORT,
    RESTRICTED,
    Manifest,
    ManifestDefaults,
    http_probe,
    literal,
    owner_reference,
    secret_variable,
)
from llmendpoint.manifests.s3 import UNSIGNED, has_credentials, s3_environment
from llmendpoint.manifests.service import engine_url

BATCH_CONTAINER = "batch"
CONTROL_NUMBER = 9901
INPUT_PATH, OUTPUT_PATH = "/mnt/input", "/mnt/output"
# The worker's exit code for what will be no better the next time.
EXIT_REFUSED = 2
# A Job's own default. An eviction and a drained node do not count.
RETRIES_PER_SHARD = 6
# Of these the worker gives 20 to what is with the engine.
GRACE_SECONDS = 30
USER = 65532
RESOURCES: Manifest = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}}


def endpoint_of(batch: Batch) -> Endpoint | None:
    """The LLMEndpoint that a batch brings, as it will be; None where it names one that is there."""
    if batch.spec.endpoint is None:
        return None
    return Endpoint(name=batch.name, namespace=batch.namespace, uid="", generation=1, spec=batch.spec.endpoint)


def own_endpoint(batch: Batch, spec: EndpointSpec) -> Manifest:
    """The LLMEndpoint of a batch that brings its own engines."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": _metadata(batch),
        "spec": spec.to_wire(),
    }


def batch_job(batch: Batch, endpoint: Endpoint, defaults: ManifestDefaults) -> Manifest:
    """The Job that works on a batch by an endpoint."""
    spec, meta = batch.spec, _metadata(batch)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": meta,
        "spec": {
            "completionMode": "Indexed",
            "completions": spec.shards,
            "parallelism": spec.shards,
            "backoffLimitPerIndex": RETRIES_PER_SHARD,
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": BATCH_CONTAINER,
                            "operator": "In",
                            "values": [EXIT_REFUSED],
                        },
                    },
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                ]
            },
            # Two pods of a shard would do the same lines.
            "podReplacementPolicy": "Failed",
            "suspend": spec.suspend,
            "template": {"metadata": {"labels": meta["labels"]}, "spec": _pod(batch, endpoint, defaults)},
        },
    }


def _metadata(batch: Batch) -> Manifest:
    return {
        "name": batch.name,
        "namespace": batch.namespace,
        "labels": {
            names.LABEL_BATCH: batch.name,
            names.LABEL_COMPONENT: names.COMPONENT_BATCH,
            "app.kubernetes.io/name": names.COMPONENT_BATCH,
            "app.kubernetes.io/instance": batch.name,
            names.LABEL_MANAGED_BY: names.MANAGED_BY,
        },
        "ownerReferences": [owner_reference(names.BATCH_KIND, batch.name, batch.uid)],
    }


def _pod(batch: Batch, endpoint: Endpoint, defaults: ManifestDefaults) -> Manifest:
    claims = {_input_volume(batch): batch.spec.input.place.claim} | {"output": batch.spec.output.place.claim}
    pod: Manifest = {
        "containers": [_container(batch, endpoint, defaults)],
        "restartPolicy": "Never",
        "volumes": [
            {"name": name, "persistentVolumeClaim": {"claimName": claim, **_read_only(name)}}
            for name, claim in claims.items()
            if claim
        ],
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            # Or most volumes of block storage could not be written.
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if endpoint.spec.engine.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in endpoint.spec.engine.image_pull_secrets]
    return pod


def _container(batch: Batch, endpoint: Endpoint, defaults: ManifestDefaults) -> Manifest:
    spec, facts = batch.spec, engine_for(endpoint.spec.engine.type)
    return {
        "name": BATCH_CONTAINER,
        "image": defaults.batch_image,
        "command": ["/app/bin/python", "-m", "batchworker"],
        "args": [
            "run",
            f"--input={literal(_seen_inside(spec.input.place, INPUT_PATH))}",
            f"--output={literal(_seen_inside(spec.output.place, OUTPUT_PATH))}",
            f"--shards={spec.shards}",
            f"--engine-url={engine_url(endpoint)}",
            f"--health-path={facts.health_path}",
            f"--concurrency={spec.concurrency}",
            f"--timeout={spec.timeout_seconds}",
            f"--max-attempts={spec.max_attempts}",
            f"--control-port={CONTROL_NUMBER}",
            *([f"--model={literal(spec.model)}"] if spec.model else []),
        ],
        "env": _environment(batch, endpoint),
        "ports": [{"name": CONTROL_PORT, "containerPort": CONTROL_NUMBER}],
        # One that hangs is followed by another, which goes on from what is done.
        "livenessProbe": http_probe("/readyz", CONTROL_PORT, period=20, timeout=10, failures=6),
        "resources": RESOURCES,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            *(
                [{"name": _input_volume(batch), "mountPath": INPUT_PATH, "readOnly": True}]
                if spec.input.place.claim
                else []
            ),
            *([{"name": "output", "mountPath": OUTPUT_PATH}] if spec.output.place.claim else []),
        ],
        "securityContext": {**RESTRICTED, "readOnlyRootFilesystem": True},
    }


def _environment(batch: Batch, endpoint: Endpoint) -> list[Manifest]:
    env = []
    if key := endpoint.spec.engine.api_key_secret_ref:
        env.append(secret_variable("OPENAI_API_KEY", key))
    env += s3_environment(batch.spec.s3)
    if not has_credentials(batch.spec.s3) and "s3" in {batch.spec.input.place.scheme, batch.spec.output.place.scheme}:
        env.append(UNSIGNED)
    return env


def _input_volume(batch: Batch) -> str:
    """A claim of both is one volume: a pod that names it in two may never start, kubernetes/kubernetes#127004."""
    return "output" if batch.spec.input.place.claim == batch.spec.output.place.claim else "input"


def _read_only(volume: str) -> Manifest:
    return {"readOnly": True} if volume == "input" else {}


def _seen_inside(place: Source, mounted: str) -> str:
    """A URI as the worker's container knows it."""
    return f"file://{mounted}/{place.path}" if place.claim else place.uri
