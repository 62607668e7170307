"""The operator against a real API server with its controllers; fake nodes let pods become ready."""

import json
import time

import pytest

from localcluster.cluster import Cluster
from support.endpoints import apply, condition, is_unread, reason, replicas, status
from support.kube import eventually, get

pytestmark = pytest.mark.apiserver
KINDS = "deployments,services,persistentvolumeclaims,horizontalpodautoscalers,poddisruptionbudgets,pods"
OWNED = "llmendpoint.dev/endpoint"


BUSINESS = {"image": "example.test/rag:1", "replicas": {"min": 1, "max": 3}}


def test_one_object_becomes_all_children(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, business=BUSINESS, scaling={"maxReplicas": 3})
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    owned = get(apiserver, KINDS, "-n", namespace, "-l", OWNED)["items"]
    found = {(item["kind"], item["metadata"]["name"]) for item in owned if item["kind"] != "Pod"}
    assert found == {
        ("Deployment", "llama-engine"),
        ("Deployment", "llama-business"),
        ("Service", "llama"),
        ("Service", "llama-engine"),
        ("HorizontalPodAutoscaler", "llama-business"),
        ("PodDisruptionBudget", "llama-engine"),
        ("PodDisruptionBudget", "llama-business"),
    }
    seen = status(apiserver, namespace)
    assert seen["url"] == f"http://llama.{namespace}.svc:80"
    assert (seen["model"], seen["readyReplicas"]) == ("acme/llama", 1)
    managers = {
        entry["manager"]
        for entry in json.loads(
            apiserver.kubectl(
                "get", "deployment", "llama-engine", "-n", namespace, "-o", "json", "--show-managed-fields"
            ).stdout
        )["metadata"]["managedFields"]
    }
    assert {"llmendpoint", "llmendpoint-scaler"} <= managers


def test_a_text_of_any_characters_reaches_the_container(apiserver: Cluster, namespace: str) -> None:
    greeting = {"name": "GREETING", "value": "\U0001f600 \u00fc\u6f22\u5b57"}
    apply(apiserver, namespace, engine={"env": [greeting]})
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    pod = get(apiserver, "deployment", "llama-engine", "-n", namespace)["spec"]["template"]["spec"]
    assert greeting in pod["containers"][0]["env"]


def test_what_is_deleted_or_edited_comes_back(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace)
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    uid = get(apiserver, "service", "llama", "-n", namespace)["metadata"]["uid"]
    apiserver.kubectl("delete", "service", "llama", "-n", namespace)
    eventually(lambda: get(apiserver, "service", "llama", "-n", namespace)["metadata"]["uid"] != uid)
    edit = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "example.test/other:1"}]
    apiserver.kubectl("patch", "deployment", "llama-engine", "-n", namespace, "--type=json", "-p", json.dumps(edit))

    def image() -> str:
        pod = get(apiserver, "deployment", "llama-engine", "-n", namespace)["spec"]["template"]["spec"]
        return str(pod["containers"][0]["image"])

    eventually(lambda: image() != "example.test/other:1")


def test_deletion_leaves_nothing(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, business=BUSINESS, model={"source": "hf://acme/llama", "cache": {"size": "1Gi"}})
    eventually(lambda: get(apiserver, "pvc", "llama-cache", "-n", namespace))
    apiserver.kubectl("delete", "llmendpoint", "llama", "-n", namespace)
    eventually(lambda: not get(apiserver, KINDS, "-n", namespace, "-l", OWNED).get("items"))


def test_a_settled_endpoint_is_not_written(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, business=BUSINESS, scaling={"maxReplicas": 3, "mode": "DryRun"})
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    eventually(lambda: is_unread(apiserver, namespace))
    time.sleep(6)

    def versions() -> dict[str, str]:
        kinds = "llmendpoints,deployments,services,poddisruptionbudgets"
        items = get(apiserver, kinds, "-n", namespace)["items"]
        return {f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["resourceVersion"] for item in items}

    before = versions()
    time.sleep(12)  # two resyncs and twelve ticks
    assert versions() == before


def test_scaling_off_leaves_the_count_to_kubectl_scale(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, scaling={"maxReplicas": 3, "mode": "Off"})
    eventually(lambda: get(apiserver, "llmendpoint", "llama", "-n", namespace)["spec"]["replicas"] == 1)
    apiserver.kubectl("scale", "llmendpoint", "llama", "-n", namespace, "--replicas=4")
    eventually(lambda: replicas(apiserver, namespace) == 4)
    eventually(lambda: status(apiserver, namespace)["readyReplicas"] == 4)
    time.sleep(3)
    assert replicas(apiserver, namespace) == 4


def test_active_scaling_refuses_spec_replicas(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, scaling={"maxReplicas": 3, "minReplicas": 2})
    eventually(lambda: replicas(apiserver, namespace) == 2)
    done = apiserver.kubectl("scale", "llmendpoint", "llama", "-n", namespace, "--replicas=3", check=False)
    assert "can not be set while scaling.mode is Active" in done.stderr


def test_raised_bounds_act_at_once(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, scaling={"maxReplicas": 3})
    eventually(lambda: replicas(apiserver, namespace) == 1)
    apply(apiserver, namespace, scaling={"maxReplicas": 5, "minReplicas": 3})
    eventually(lambda: replicas(apiserver, namespace) == 3)
    # Moved back within the tick: the count has changed all the same, and nothing says that fewer are enough.
    apply(apiserver, namespace, scaling={"maxReplicas": 5})
    time.sleep(3)
    assert replicas(apiserver, namespace) == 3
    change = status(apiserver, namespace)["scaling"]["history"][0]
    assert (change["fromReplicas"], change["toReplicas"]) == (1, 3)
    assert "minReplicas is 3; scale out 1 -> 3" in change["sentence"]


def test_an_unschedulable_replica_is_reported(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, engine={"resources": {"limits": {"nvidia.com/gpu": 64}}})
    eventually(lambda: reason(apiserver, namespace) == "Unschedulable")
    message = condition(apiserver, namespace, "Ready")["message"]
    assert "no node has enough nvidia.com/gpu" in message
    assert "add nodes" in message


def test_an_exhausted_quota_is_reported(apiserver: Cluster, namespace: str) -> None:
    apiserver.kubectl("create", "quota", "gpus", "-n", namespace, "--hard=requests.nvidia.com/gpu=1")
    apply(apiserver, namespace, replicas=2)
    eventually(lambda: reason(apiserver, namespace) == "QuotaExceeded")
    assert "raise the quota" in condition(apiserver, namespace, "Ready")["message"]


def test_unreadable_metrics_hold_the_size(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, scaling={"maxReplicas": 3, "minReplicas": 2})
    eventually(lambda: condition(apiserver, namespace, "MetricsAvailable")["reason"] == "MetricsUnknown")
    assert "the size is held" in condition(apiserver, namespace, "MetricsAvailable")["message"]
    assert replicas(apiserver, namespace) == 2


def test_events_tell_what_happened(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, engine={"nodeSelector": {"pool": "nowhere"}})
    eventually(lambda: reason(apiserver, namespace) == "Unschedulable")

    def reasons() -> set[str]:
        items = get(apiserver, "events.events.k8s.io", "-n", namespace)["items"]
        return {item["reason"] for item in items if item["regarding"]["kind"] == "LLMEndpoint"}

    eventually(lambda: "Unschedulable" in reasons())


def test_a_change_of_the_count_is_no_roll_out(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, scaling={"maxReplicas": 3, "mode": "Off"}, replicas=2)
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    before = condition(apiserver, namespace, "Ready")["lastTransitionTime"]
    time.sleep(1.1)  # so that a flip would show in the time
    apiserver.kubectl("scale", "llmendpoint", "llama", "-n", namespace, "--replicas=1")
    eventually(lambda: status(apiserver, namespace)["replicas"] == 1)
    assert condition(apiserver, namespace, "Ready")["lastTransitionTime"] == before
    apply(apiserver, namespace, scaling={"maxReplicas": 3, "mode": "Off"}, replicas=1, engine={"args": ["--seed=1"]})
    eventually(lambda: condition(apiserver, namespace, "Ready")["lastTransitionTime"] != before)
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")


def test_turning_the_scaler_on_again_starts_from_what_runs(apiserver: Cluster, namespace: str) -> None:
    active = {"maxReplicas": 6, "scaleIn": {"cooldownSeconds": 0, "holdSeconds": 600}}
    apply(apiserver, namespace, scaling=active)
    eventually(lambda: replicas(apiserver, namespace) == 1)
    apply(apiserver, namespace, scaling={**active, "mode": "Off"}, replicas=4)
    eventually(lambda: replicas(apiserver, namespace) == 4)
    eventually(lambda: "scaling" not in status(apiserver, namespace))
    apiserver.kubectl(
        "patch", "llmendpoint", "llama", "-n", namespace, "--type=merge",
        "-p", json.dumps({"spec": {"replicas": None, "scaling": {"mode": "Active"}}}),
    )  # fmt: skip
    eventually(lambda: condition(apiserver, namespace, "ScalingActive")["status"] == "True")
    time.sleep(3)
    assert replicas(apiserver, namespace) == 4


def test_a_name_that_is_taken_is_left_alone_and_reported(apiserver: Cluster, namespace: str) -> None:
    apiserver.kubectl("create", "service", "clusterip", "llama", "--tcp=80:80", "-n", namespace)
    before = get(apiserver, "service", "llama", "-n", namespace)
    apply(apiserver, namespace)
    eventually(lambda: reason(apiserver, namespace) == "NotOwned")
    assert (
        "Service llama exists and does not belong to this endpoint"
        in condition(apiserver, namespace, "Ready")["message"]
    )
    assert get(apiserver, "service", "llama", "-n", namespace)["spec"] == before["spec"]
    eventually(lambda: replicas(apiserver, namespace) == 1)  # the rest is there
    apiserver.kubectl("delete", "service", "llama", "-n", namespace)
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")


def test_a_child_that_is_refused_does_not_stop_the_scaler(apiserver: Cluster, namespace: str) -> None:
    engine = {"env": [{"name": "A", "value": "1"}]}
    apply(apiserver, namespace, engine=engine, scaling={"maxReplicas": 6})
    eventually(lambda: replicas(apiserver, namespace) == 1)
    broken = {"podTemplate": {"spec": {"restartPolicy": "Never"}}}  # a Deployment takes Always only
    apply(apiserver, namespace, engine={**engine, **broken}, scaling={"maxReplicas": 6, "minReplicas": 3})
    eventually(lambda: replicas(apiserver, namespace) == 3)
    eventually(lambda: reason(apiserver, namespace) == "ApplyFailed")
    assert "restartPolicy" in condition(apiserver, namespace, "Ready")["message"]
