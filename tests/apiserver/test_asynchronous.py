"""What spec.async makes on a real API server, and that all of it goes again."""

import pytest

from localcluster.cluster import Cluster
from support.endpoints import apply, condition, reason, status
from support.kube import eventually, get

pytestmark = pytest.mark.apiserver

OWN_REDIS = {"redis": {"urlSecretRef": {"name": "jobs", "key": "url"}}}


def children(apiserver: Cluster, namespace: str) -> set[tuple[str, str]]:
    found = get(apiserver, "deployments,services,pdb", "-n", namespace)["items"]
    return {(item["kind"], item["metadata"]["name"].removeprefix("llama-")) for item in found}


def test_jobs_have_an_api_and_workers_while_they_are_wanted(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, **{"async": {}})
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    assert children(apiserver, namespace) >= {
        (kind, name) for kind in ("Deployment", "Service") for name in ("queue", "redis")
    } | {("Deployment", "worker"), ("PodDisruptionBudget", "queue"), ("PodDisruptionBudget", "worker")}
    assert status(apiserver, namespace)["asyncURL"] == f"http://llama-queue.{namespace}.svc:80"

    # Nobody answers at the addresses of these pods.
    eventually(lambda: condition(apiserver, namespace, "QueueAvailable")["reason"] == "BacklogUnknown")
    told = ("events", "-n", namespace, "--field-selector=reason=BacklogUnknown")
    eventually(lambda: [event["type"] for event in get(apiserver, *told)["items"]] == ["Warning"])

    apply(apiserver, namespace, **{"async": OWN_REDIS})
    eventually(lambda: ("Deployment", "redis") not in children(apiserver, namespace))
    apply(apiserver, namespace)
    eventually(lambda: not {"queue", "worker"} & {name for _, name in children(apiserver, namespace)})
    eventually(lambda: "asyncURL" not in status(apiserver, namespace))
    assert "QueueAvailable" not in {entry["type"] for entry in status(apiserver, namespace)["conditions"]}


def test_a_worker_that_somebody_scales_is_put_back(apiserver: Cluster, namespace: str) -> None:
    def workers() -> int:
        return int(get(apiserver, "deployment", "llama-worker", "-n", namespace)["spec"]["replicas"])

    apply(apiserver, namespace, **{"async": {"workers": {"replicas": 3}}})
    eventually(lambda: workers() == 3)
    apiserver.kubectl("scale", "deployment/llama-worker", "--replicas=0", "-n", namespace)
    eventually(lambda: workers() == 3)
