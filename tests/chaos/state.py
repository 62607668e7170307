"""What two endpoints that went through different things must have in common in the end."""

from collections.abc import Iterator
from typing import Any

from localcluster.cluster import Cluster
from support.endpoints import status
from support.kube import get

CHILDREN = "deployments,services,persistentvolumeclaims,horizontalpodautoscalers,poddisruptionbudgets"
# What differs between two objects that are alike.
ADDRESS = {"clusterIP", "clusterIPs"}
HISTORY = {"deployment.kubernetes.io/revision", "llmendpoint.dev/desired-hash"}  # the hash is of the owner's uid too


def end_state(cluster: Cluster, namespace: str) -> dict[str, Any]:
    """The children as they are wanted, the pods that there are, and what the operator says of them."""
    children = get(cluster, CHILDREN, "-n", namespace)["items"]
    pods = get(cluster, "pods", "-n", namespace)["items"]
    seen = status(cluster, namespace)
    return {
        "children": {f"{child['kind']} {child['metadata']['name']}": _wanted(child) for child in children},
        "pods": dict(enumerate(sorted(_pod(pod) for pod in pods))),
        "conditions": {entry["type"]: f"{entry['status']} {entry['reason']}" for entry in seen["conditions"]},
        "counts": {name: seen[name] for name in ("replicas", "readyReplicas", "business")},
        "desired": seen["scaling"]["desiredReplicas"],
    }


def differences(found: Any, expected: Any, path: str = "") -> Iterator[str]:
    """Where two states differ, and how."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for name in sorted(found.keys() | expected.keys(), key=str):
            yield from differences(found.get(name), expected.get(name), f"{path}/{name}")
    elif found != expected:
        yield f"{path} is {found!r} and not {expected!r}"


def _wanted(child: dict[str, Any]) -> dict[str, Any]:
    metadata = child["metadata"]
    annotations = {name: value for name, value in metadata.get("annotations", {}).items() if name not in HISTORY}
    spec = {name: value for name, value in child["spec"].items() if name not in ADDRESS}
    return {"labels": metadata["labels"], "annotations": annotations, "spec": spec}


def _pod(pod: dict[str, Any]) -> str:
    """Of what it is, and whether it serves."""
    labels, metadata = pod["metadata"]["labels"], pod["metadata"]
    conditions = {entry["type"]: entry["status"] for entry in pod["status"].get("conditions", [])}
    state = "terminates" if "deletionTimestamp" in metadata else f"Ready {conditions.get('Ready')}"
    return f"{labels['llmendpoint.dev/component']} {labels['pod-template-hash']} {state}"
