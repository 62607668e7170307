"""Kinds of other projects in a test's cluster."""

from localcluster import definitions
from localcluster.cluster import Cluster
from support.kube import eventually


def install(cluster: Cluster, plural: str) -> None:
    """Define a kind and wait until the API server serves it."""
    cluster.kubectl("apply", "--server-side", "-f", str(definitions.definition(plural)))
    eventually(lambda: is_served(cluster, plural))


def remove(cluster: Cluster, plural: str) -> None:
    """Remove a kind with all its objects, and wait until the API server serves it no more."""
    cluster.kubectl("delete", "-f", str(definitions.definition(plural)))
    eventually(lambda: not is_served(cluster, plural))


def is_served(cluster: Cluster, plural: str) -> bool:
    return cluster.kubectl("get", plural, "-A", check=False).returncode == 0
