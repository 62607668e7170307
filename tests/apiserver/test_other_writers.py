"""Others own the replica count while the scaler does not: kubectl scale, an HPA, KEDA. Nobody fights."""

import json
import time
from typing import Any

import pytest

from localcluster.cluster import Cluster
from support.endpoints import NAME, apply, condition, endpoint, reason, replicas, status
from support.kube import eventually, get

pytestmark = pytest.mark.apiserver
CALM_SECONDS = 10
OFF = {"maxReplicas": 5, "mode": "Off"}


def owners_of_replicas(cluster: Cluster, namespace: str) -> set[str]:
    """Field managers that own the endpoint's spec.replicas."""
    body = json.loads(
        cluster.kubectl("get", "llmendpoint", NAME, "-n", namespace, "-o", "json", "--show-managed-fields").stdout
    )
    return {
        entry["manager"]
        for entry in body["metadata"]["managedFields"]
        if "f:replicas" in entry["fieldsV1"].get("f:spec", {})
    }


def specs(cluster: Cluster, namespace: str) -> list[Any]:
    """Counts and generations: each write to a spec makes a new generation."""
    bodies = [endpoint(cluster, namespace), get(cluster, "deployment", f"{NAME}-engine", "-n", namespace)]
    return [(body["spec"].get("replicas"), body["metadata"]["generation"]) for body in bodies]


def stays(cluster: Cluster, namespace: str, count: int) -> None:
    """Nobody writes a spec for ten ticks and two resyncs."""
    before = specs(cluster, namespace)
    assert [replicas for replicas, _ in before] == [count, count]
    time.sleep(CALM_SECONDS)
    assert specs(cluster, namespace) == before


def scale(cluster: Cluster, namespace: str, count: int) -> None:
    """As KEDA does: a merge patch of the scale subresource."""
    patch = json.dumps({"spec": {"replicas": count}})
    cluster.kubectl(
        "patch", "llmendpoint", NAME, "-n", namespace, "--subresource=scale", "--type=merge", "-p", patch,
        "--field-manager=keda-operator",
    )  # fmt: skip


def test_an_hpa_owns_the_count_when_scaling_is_off(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, scaling=OFF)
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    hpa = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "by-hand", "namespace": namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "llmendpoint.dev/v1alpha1", "kind": "LLMEndpoint", "name": NAME},
            "minReplicas": 2,
            "maxReplicas": 4,
            "metrics": [{"type": "Resource", "resource": cpu}],
        },
    }
    apiserver.kubectl("apply", "-f", "-", stdin=json.dumps(hpa))
    eventually(lambda: status(apiserver, namespace)["readyReplicas"] == 2)
    assert owners_of_replicas(apiserver, namespace) == {"kube-controller-manager"}
    stays(apiserver, namespace, 2)
    apply(apiserver, namespace, scaling=OFF, engine={"drainSeconds": 30})  # the user's next edit does not know of it
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    assert [replicas for replicas, _ in specs(apiserver, namespace)] == [2, 2]
    eventually(lambda: get(apiserver, "hpa", "by-hand", "-n", namespace)["status"]["currentReplicas"] == 2)


def test_keda_owns_the_count_when_scaling_is_off(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, scaling=OFF)
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    scale(apiserver, namespace, 3)
    eventually(lambda: status(apiserver, namespace)["readyReplicas"] == 3)
    assert owners_of_replicas(apiserver, namespace) == {"keda-operator"}
    stays(apiserver, namespace, 3)
    scale(apiserver, namespace, 0)
    eventually(lambda: status(apiserver, namespace)["replicas"] == 0)
    stays(apiserver, namespace, 0)
    scale(apiserver, namespace, 1)
    eventually(lambda: status(apiserver, namespace)["readyReplicas"] == 1)


def test_dry_run_reports_its_decisions_and_writes_no_count(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, replicas=1, scaling={"minReplicas": 2, "maxReplicas": 3, "mode": "DryRun"})
    eventually(lambda: status(apiserver, namespace)["scaling"]["desiredReplicas"] == 2)
    change = status(apiserver, namespace)["scaling"]["history"][0]
    assert (change["fromReplicas"], change["toReplicas"]) == (1, 2)
    assert "minReplicas is 2" in change["sentence"]
    assert condition(apiserver, namespace, "ScalingActive")["reason"] == "DryRun"
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    stays(apiserver, namespace, 1)
    scale(apiserver, namespace, 3)
    eventually(lambda: replicas(apiserver, namespace) == 3)
    assert owners_of_replicas(apiserver, namespace) == {"keda-operator"}
    # Handed over, the scaler starts from what runs and not from what it would have done.
    before = specs(apiserver, namespace)[1]
    apply(apiserver, namespace, scaling={"minReplicas": 2, "maxReplicas": 3})
    eventually(lambda: condition(apiserver, namespace, "ScalingActive")["status"] == "True")
    eventually(lambda: status(apiserver, namespace)["scaling"]["desiredReplicas"] == 3)
    assert specs(apiserver, namespace)[1] == before


def test_a_change_of_hands_keeps_the_count(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, scaling={"minReplicas": 3, "maxReplicas": 5})
    eventually(lambda: status(apiserver, namespace)["readyReplicas"] == 3)
    deployment = specs(apiserver, namespace)[1]
    apply(apiserver, namespace, scaling={**OFF, "minReplicas": 3})
    eventually(lambda: endpoint(apiserver, namespace)["spec"].get("replicas") == 3)
    stays(apiserver, namespace, 3)
    assert specs(apiserver, namespace)[1] == deployment
    scale(apiserver, namespace, 4)
    eventually(lambda: status(apiserver, namespace)["readyReplicas"] == 4)
    assert "scaling" not in status(apiserver, namespace)  # nobody decides, so there is no decision to show
    deployment = specs(apiserver, namespace)[1]
    apply(apiserver, namespace, scaling={"minReplicas": 3, "maxReplicas": 5})
    eventually(lambda: "replicas" not in endpoint(apiserver, namespace)["spec"])
    eventually(lambda: status(apiserver, namespace)["scaling"]["desiredReplicas"] == 4)
    time.sleep(CALM_SECONDS)
    assert specs(apiserver, namespace)[1] == deployment


def test_a_status_that_somebody_has_written_into_is_made_whole_again(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, scaling={"maxReplicas": 2})
    eventually(lambda: status(apiserver, namespace)["scaling"]["decision"]["sentence"])
    patch = [{"op": "add", "path": "/status/scaling/decision/heldUntil", "value": "2100-01-01T00:00:00Z"}]
    apiserver.kubectl(
        "patch", "llmendpoint", NAME, "-n", namespace, "--subresource=status", "--type=json", f"-p={json.dumps(patch)}",
        "--field-manager=somebody",
    )  # fmt: skip
    eventually(lambda: "heldUntil" not in status(apiserver, namespace)["scaling"]["decision"])
    apply(apiserver, namespace, scaling=OFF)
    eventually(lambda: "scaling" not in status(apiserver, namespace))
