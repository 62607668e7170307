"""The endpoints that are measured: the shape of a usual one, and what the API server would have made of it."""

from collections.abc import Mapping
from typing import Any

from llmendpoint import manifests
from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.manifests import ManifestDefaults

Manifest = dict[str, Any]

CREATED = "2025-06-15T15:00:00Z"
READY = "2025-06-15T15:01:30Z"


def endpoint_object(name: str, namespace: str, replicas: int) -> Manifest:
    """An endpoint of vLLM as users write it, with the default policy and so many replicas at least."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "model": {
                "source": "hf://meta-llama/Llama-3.1-8B-Instruct",
                "servedName": "llama",
                "tokenSecretRef": {"name": "hf-token", "key": "token"},
            },
            "engine": {"args": ["--max-model-len=8192"], "resources": {"limits": {"nvidia.com/gpu": 1}}},
            "scaling": {"minReplicas": replicas, "maxReplicas": replicas + 4, "scaleIn": {"cooldownSeconds": 200}},
        },
    }


def scale_object(name: str, namespace: str, replicas: int) -> Manifest:
    """The count of the endpoint's engine Deployment and nothing else, for an apply."""
    metadata = {"name": f"{name}-engine", "namespace": namespace}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"replicas": replicas}}


def stored(body: Manifest) -> Manifest:
    """An endpoint as the API server returns it."""
    name = body["metadata"]["name"]
    metadata = body["metadata"] | {"uid": f"uid-{name}", "generation": 1, "resourceVersion": "1"}
    return {**body, "metadata": metadata}


def child_objects(endpoint: Endpoint, replicas: int) -> list[Manifest]:
    """The endpoint's children as the API server returns them."""
    return [_child(body, replicas) for body in manifests.children(endpoint, ManifestDefaults())]


def _child(body: Manifest, replicas: int) -> Manifest:
    metadata = body["metadata"] | {
        "uid": f"uid-{body['kind']}-{body['metadata']['name']}",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": CREATED,
    }
    if body["kind"] != "Deployment":
        return {**body, "metadata": metadata}
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas)
    return {
        **body,
        "metadata": metadata,
        "spec": body["spec"] | {"replicas": replicas},
        "status": {"observedGeneration": 1, **counts},
    }


def pod_object(endpoint: Endpoint, index: int, address: str) -> Manifest:
    """A ready engine pod of the endpoint as the API server returns it."""
    deployment = next(body for body in manifests.children(endpoint, ManifestDefaults()) if body["kind"] == "Deployment")
    template: Mapping[str, Any] = deployment["spec"]["template"]
    name = f"{deployment['metadata']['name']}-{index}"
    conditions = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": endpoint.namespace,
            "uid": f"uid-{endpoint.namespace}-{name}",
            "resourceVersion": "1",
            "creationTimestamp": CREATED,
            "labels": template["metadata"]["labels"],
        },
        "spec": template["spec"],
        "status": {
            "phase": "Running",
            "podIP": address,
            "conditions": [{"type": kind, "status": "True", "lastTransitionTime": READY} for kind in conditions],
            "containerStatuses": [
                {"name": "engine", "ready": True, "started": True, "restartCount": 0, "state": {"running": {}}}
            ],
        },
    }
