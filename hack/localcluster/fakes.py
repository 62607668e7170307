"""Nodes that only exist on paper: kwok lets their pods become ready."""

from collections.abc import Mapping
from typing import Any

SELECTED_BY = ("kwok.x-k8s.io/node", "fake")
"""The annotation, and its value, of the nodes that are kwok's."""
RESOURCES: Mapping[str, str] = {"cpu": "256", "memory": "2Ti", "pods": "1000", "nvidia.com/gpu": "8"}


def fake_node(index: int, *, pod_range: str | None = None, resources: Mapping[str, str] = RESOURCES) -> dict[str, Any]:
    """A node with eight GPUs.

    Args:
        pod_range: CIDR from which kwok takes the addresses of the node's pods; its own choice where there is none.
    """
    annotation, value = SELECTED_BY
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": f"fake-{index}",
            "annotations": {annotation: value, "node.alpha.kubernetes.io/ttl": "0"},
            "labels": {"kubernetes.io/os": "linux", "type": "kwok"},
        },
        "spec": {"podCIDR": pod_range, "podCIDRs": [pod_range]} if pod_range else {},
        "status": {"capacity": dict(resources), "allocatable": dict(resources)},
    }
