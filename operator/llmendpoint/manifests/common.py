"""What all children share: names, labels, owner, hash."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.api.serving import EngineType, EnvVar, SecretKeyRef

Manifest = dict[str, Any]

RESTRICTED: Mapping[str, Any] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}

# Where our own pods are asked by probes and by the operator.
CONTROL_PORT = "control"
# Any but the engines' and, beside an engine, the business service's.
CONTROL_NUMBERS = (9901, 9902)
ACTIVATOR_IMAGE = "ghcr.io/llmendpoint/operator:0.1.0"
QUEUE_IMAGE = "ghcr.io/llmendpoint/queue:0.1.0"
REDIS_IMAGE = "docker.io/valkey/valkey:8.1"
BATCH_IMAGE = "ghcr.io/llmendpoint/batch:0.1.0"
FETCH_IMAGE = "ghcr.io/llmendpoint/modelfetch:0.1.0"


@dataclass(frozen=True)
class ManifestDefaults:
    """What the operator's administrator sets for all endpoints."""

    engine_images: Mapping[str, str] = field(default_factory=dict)
    """Image by engine type in place of the built-in default."""
    engine_image_override: bool = False
    """Use engine_images even where the endpoint names an image."""
    activator_image: str = ACTIVATOR_IMAGE
    """Image of the activator, which is the operator's."""
    queue_image: str = QUEUE_IMAGE
    """Image of the API for jobs and of its workers."""
    redis_image: str = REDIS_IMAGE
    """Image of the Redis for development; anything with a redis-server."""
    allow_privileged_pod_templates: bool = False
    """Let pod templates ask for what reaches beyond the endpoint's pods."""
    batch_image: str = BATCH_IMAGE
    """Image of the workers of batches."""
    fetch_image: str = FETCH_IMAGE
    """Image of what fetches models before engines start."""

    def image_of(self, kind: EngineType, given: str | None, built_in: str) -> str:
        """The engine image to run."""
        ours = self.engine_images.get(kind)
        if ours and (self.engine_image_override or given is None):
            return ours
        return given or built_in


def selector(endpoint: Endpoint, component: str) -> dict[str, str]:
    """The two fixed labels that select the pods of a component."""
    return {names.LABEL_ENDPOINT: endpoint.name, names.LABEL_COMPONENT: component}


def is_sidecar(endpoint: Endpoint) -> bool:
    """Whether the business service runs in the engine's pods."""
    return endpoint.spec.business is not None and endpoint.spec.business.placement == "Sidecar"


def metadata(endpoint: Endpoint, name: str, component: str) -> Manifest:
    """Metadata of a child: deleted with its endpoint, found by its labels."""
    return {
        "name": name,
        "namespace": endpoint.namespace,
        "labels": {
            **selector(endpoint, component),
            "app.kubernetes.io/name": component,
            "app.kubernetes.io/instance": endpoint.name,
            names.LABEL_MANAGED_BY: names.MANAGED_BY,
        },
        "ownerReferences": [owner_reference(names.KIND, endpoint.name, endpoint.uid)],
    }


def owner_reference(kind: str, name: str, uid: str) -> Manifest:
    """What makes an object go with its owner."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def hashed(manifest: Manifest) -> Manifest:
    """The manifest with the hash of itself as an annotation."""
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]
    annotations = manifest["metadata"].get("annotations", {}) | {names.ANNOTATION_HASH: digest}
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": annotations}}


def variable(name: str, value: str) -> Manifest:
    """An environment variable with a literal value."""
    return {"name": name, "value": literal(value)}


def literal(text: str) -> str:
    """A value or an argument in which the kubelet takes no ``$(NAME)`` for a variable, which may be a secret one."""
    return text.replace("$", "$$")


def secret_variable(name: str, ref: SecretKeyRef) -> Manifest:
    """An environment variable whose value stays in its Secret: the operator passes the reference on."""
    return {"name": name, "valueFrom": {"secretKeyRef": ref.to_wire()}}


def merged_env(ours: list[Manifest], users: list[EnvVar]) -> list[Manifest]:
    """Environment with the user's variables last and in place of ours of the same name."""
    theirs = [entry.to_wire() for entry in users]
    taken = {entry["name"] for entry in theirs}
    return [*(entry for entry in ours if entry["name"] not in taken), *theirs]


def http_probe(path: str, port: str, *, period: int, timeout: int, failures: int) -> Manifest:
    """An HTTP probe; times in seconds."""
    return {
        "httpGet": {"path": path, "port": port},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }
