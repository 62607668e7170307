"""The LLMBatch of a test, one per namespace: apply it, look at it."""

import json
from typing import Any

from localcluster.cluster import Cluster
from support.builders import BATCH_SPEC
from support.kube import get

NAME = "march"


def apply(cluster: Cluster, namespace: str, **spec: Any) -> None:
    """Create or change it; ``spec`` is in the wire form. With ``endpoint`` it brings its own engines."""
    whole = {**BATCH_SPEC, **spec}
    if "endpoint" in spec:
        del whole["endpointRef"]
    body = {
        "apiVersion": "llmendpoint.dev/v1alpha1",
        "kind": "LLMBatch",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": whole,
    }
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(body))


def volumes(namespace: str) -> list[dict[str, Any]]:
    """Claims for the input and the output, each with a volume that nobody mounts."""
    made: list[dict[str, Any]] = []
    for claim in ("prompts", "answers"):
        size = {"storage": "1Gi"}
        shared = {"storageClassName": "", "accessModes": ["ReadWriteMany"]}
        made += [
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"{namespace}-{claim}"},
                "spec": {
                    **shared,
                    "capacity": size,
                    "hostPath": {"path": "/nowhere"},
                    "claimRef": {"namespace": namespace, "name": claim},
                },
            },
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": claim, "namespace": namespace},
                "spec": {**shared, "volumeName": f"{namespace}-{claim}", "resources": {"requests": size}},
            },
        ]
    return made


def status(cluster: Cluster, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = get(cluster, "llmbatch", NAME, "-n", namespace).get("status", {})
    return found


def condition(cluster: Cluster, namespace: str, kind: str) -> dict[str, Any]:
    return next(entry for entry in status(cluster, namespace)["conditions"] if entry["type"] == kind)


def state(cluster: Cluster, namespace: str) -> str:
    """What it does, or why it does not, in one word."""
    return str(condition(cluster, namespace, "Progressing")["reason"])
