"""What the cluster needs before anything is measured: the CRD, fake nodes, and an identity for each contender."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from bench import isolation
from localcluster.cluster import Cluster

NAMESPACE = "bench-system"
NODES = 4
PLENTY = "20000"
ACCOUNTS = ("operator", "kopf", "client")


def prepare(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """Make it all. Returns a kubeconfig by account."""
    cluster.install_crd()
    items = [*_nodes(), _service_range(), *_identities()]
    listed = {"apiVersion": "v1", "kind": "List", "items": items}
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(listed))
    admin = yaml.safe_load(cluster.kubectl("config", "view", "--raw", "--flatten").stdout)
    tokens = {
        name: cluster.kubectl("create", "token", name, "-n", NAMESPACE, "--duration=24h").stdout.strip()
        for name in ACCOUNTS
    }
    return {name: _kubeconfig(admin, token) for name, token in tokens.items()}


def _nodes() -> list[dict[str, Any]]:
    resources = dict.fromkeys(("cpu", "pods", "nvidia.com/gpu"), PLENTY) | {"memory": "2Ti"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": f"fake-{index}",
                "annotations": {"kwok.x-k8s.io/node": "fake"},
                "labels": {"kubernetes.io/os": "linux"},
            },
            # kwok takes the addresses of a node's pods from here.
            "spec": {"podCIDR": isolation.POD_RANGE, "podCIDRs": [isolation.POD_RANGE]},
            "status": {"capacity": resources, "allocatable": resources},
        }
        for index in range(NODES)
    ]


def _service_range() -> dict[str, Any]:
    """The range that kwokctl sets up ends at the 254th Service."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "bench"},
        "spec": {"cidrs": ["10.96.0.0/16"]},
    }


def _identities() -> list[dict[str, Any]]:
    metadata = [{"name": name, "namespace": NAMESPACE} for name in ACCOUNTS]
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "bench"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", **entry} for entry in metadata],
    }
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        *({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": entry} for entry in metadata),
        binding,
    ]


def _kubeconfig(admin: Mapping[str, Any], token: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "bench", "cluster": admin["clusters"][0]["cluster"]}],
        "users": [{"name": "bench", "user": {"token": token}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "current-context": "bench",
    }
