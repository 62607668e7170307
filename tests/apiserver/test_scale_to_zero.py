"""The Services of an endpoint that may have no replica, on a real API server: they lead to whoever is ready."""

from typing import Any

import pytest

from localcluster.cluster import Cluster
from localcluster.errors import LocalClusterError
from support.endpoints import apply, reason
from support.kube import behind, eventually, get

pytestmark = pytest.mark.apiserver

ZERO = {"minReplicas": 0, "maxReplicas": 2}


def addresses(apiserver: Cluster, namespace: str, component: str) -> set[str]:
    """Of the ready pods of a component."""
    items = get(apiserver, "pods", "-n", namespace, "-l", f"llmendpoint.dev/component={component}")["items"]
    return {
        item["status"]["podIP"]
        for item in items
        if any(entry["type"] == "Ready" and entry["status"] == "True" for entry in item["status"].get("conditions", ()))
    }


def leads_to(apiserver: Cluster, namespace: str, service: str, component: str) -> bool:
    wanted = addresses(apiserver, namespace, component)
    return bool(wanted) and behind(apiserver, namespace, service) == wanted


def test_services_lead_to_the_activator_while_no_replica_is_ready(apiserver: Cluster, namespace: str) -> None:
    nowhere = {"rollout": "Recreate", "nodeSelector": {"there": "none"}}
    apply(apiserver, namespace, scaling=ZERO, engine=nowhere)
    for service in ("llama", "llama-engine"):
        eventually(lambda service=service: leads_to(apiserver, namespace, service, "activator"))
    assert behind(apiserver, namespace, "llama-replicas") == set()
    apply(apiserver, namespace, scaling=ZERO)
    for service in ("llama", "llama-engine", "llama-replicas"):
        eventually(lambda service=service: leads_to(apiserver, namespace, service, "engine"))
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    apply(apiserver, namespace, scaling=ZERO, engine=nowhere)
    for service in ("llama", "llama-engine"):
        eventually(lambda service=service: leads_to(apiserver, namespace, service, "activator"))


def test_an_endpoint_that_shall_never_sleep_again_loses_its_activator(apiserver: Cluster, namespace: str) -> None:
    def activator() -> dict[str, Any]:
        return get(apiserver, "deployment,service,pdb", "-n", namespace)

    apply(apiserver, namespace, scaling=ZERO)
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    names = {item["metadata"]["name"] for item in activator()["items"]}
    assert {"llama-activator", "llama-replicas"} <= names
    apply(apiserver, namespace, scaling={**ZERO, "minReplicas": 1})
    eventually(
        lambda: not {"llama-activator", "llama-replicas"} & {item["metadata"]["name"] for item in activator()["items"]}
    )
    eventually(lambda: leads_to(apiserver, namespace, "llama", "engine"))


def test_what_makes_no_sense_is_refused(apiserver: Cluster, namespace: str) -> None:
    for scaling in ({"minReplicas": -1}, {"idleSeconds": 5}, {"activator": {"maxRequests": 0}}):
        with pytest.raises(LocalClusterError, match="should be greater than or equal to"):
            apply(apiserver, namespace, scaling={"maxReplicas": 2, **scaling})
