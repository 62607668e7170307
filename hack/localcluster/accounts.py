"""Service accounts, users that an audit log can tell from each other: who they are, and what they asked for."""

from collections.abc import Sequence
from typing import Any

import yaml

from localcluster.cluster import Cluster


def administrators(namespace: str, accounts: Sequence[str]) -> list[dict[str, Any]]:
    """The accounts in a namespace of their own, which may do everything."""
    metadata = [{"name": account, "namespace": namespace} for account in accounts]
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        *({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": entry} for entry in metadata),
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", **entry} for entry in metadata],
        },
    ]


def audit_policy(namespace: str) -> dict[str, Any]:
    """Have the API server log what accounts of a namespace ask for, without what is in it."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "Metadata", "userGroups": [f"system:serviceaccounts:{namespace}"], "omitManagedFields": True},
            {"level": "None"},
        ],
    }


def kubeconfig_of(cluster: Cluster, namespace: str, account: str) -> dict[str, Any]:
    """A kubeconfig by a token of the account, good for a day."""
    known: dict[str, Any] = yaml.safe_load(cluster.kubectl("config", "view", "--raw", "--flatten").stdout)
    token = cluster.kubectl("create", "token", account, "-n", namespace, "--duration=24h").stdout.strip()
    known["users"][0]["user"] = {"token": token}
    return known
