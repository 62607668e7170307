"""What the cluster needs before anything is measured: the CRD, fake nodes, and an identity for each contender."""

from typing import Any

from bench import isolation
from localcluster.accounts import administrators, kubeconfig_of
from localcluster.cluster import Cluster
from localcluster.fakes import RESOURCES, fake_node

NAMESPACE = "bench-system"
NODES = 4
PLENTY = dict(RESOURCES) | dict.fromkeys(("cpu", "pods", "nvidia.com/gpu"), "20000")
ACCOUNTS = ("operator", "kopf", "client")


def prepare(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """Make it all. Returns a kubeconfig by account."""
    cluster.install_crd()
    nodes = [fake_node(index, pod_range=isolation.POD_RANGE, resources=PLENTY) for index in range(NODES)]
    cluster.control_plane.apply([*nodes, _service_range(), *administrators(NAMESPACE, ACCOUNTS)])
    return {account: kubeconfig_of(cluster, NAMESPACE, account) for account in ACCOUNTS}


def _service_range() -> dict[str, Any]:
    """The range that kwokctl sets up ends at the 254th Service."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "bench"},
        "spec": {"cidrs": ["10.96.0.0/16"]},
    }
