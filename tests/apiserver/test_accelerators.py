"""Kinds of accelerators on a real API server: parts of GPUs, products of nodes, claims of a driver's devices."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from localcluster.cluster import Cluster
from localcluster.fakes import fake_node
from support.endpoints import apply, condition, reason, status
from support.kube import eventually, get

pytestmark = pytest.mark.apiserver
MIG = "nvidia.com/mig-1g.10gb"
PRODUCT = "NVIDIA-H100-80GB-HBM3"
NODE = "fake-7"
DRIVER = "gpu.example.com"
TEMPLATE: dict[str, Any] = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "ResourceClaimTemplate",
    "metadata": {"name": "one-gpu"},
    "spec": {"spec": {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": DRIVER}}]}}},
}
CLAIMS = [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}]


@pytest.fixture(scope="module")
def node(apiserver: Cluster) -> Iterator[str]:
    """A node whose GPUs are in parts, and one device of a driver's."""
    body = fake_node(7, resources={"cpu": "256", "memory": "2Ti", "pods": "1000", MIG: "7"})
    body["metadata"]["labels"]["nvidia.com/gpu.product"] = PRODUCT
    device = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceSlice",
        "metadata": {"name": NODE},
        "spec": {
            "driver": DRIVER,
            "nodeName": NODE,
            "pool": {"name": NODE, "generation": 1, "resourceSliceCount": 1},
            "devices": [{"name": "gpu-0"}],
        },
    }
    matching = f"device.driver == '{DRIVER}'"
    kind = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "DeviceClass",
        "metadata": {"name": DRIVER},
        "spec": {"selectors": [{"cel": {"expression": matching}}]},
    }
    items = [body, device, kind]
    apiserver.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    yield NODE
    for item in items:
        apiserver.kubectl("delete", item["kind"], item["metadata"]["name"])


def pods(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(cluster, "pods", "-n", namespace)["items"]
    return found


def test_a_part_of_a_gpu_is_asked_for_and_counted(apiserver: Cluster, namespace: str, node: str) -> None:
    apply(apiserver, namespace, engine={"accelerator": PRODUCT, "resources": {"limits": {MIG: 2}}})
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    (pod,) = pods(apiserver, namespace)
    assert pod["spec"]["nodeName"] == node
    assert pod["spec"]["nodeSelector"] == {"nvidia.com/gpu.product": PRODUCT}
    eventually(lambda: status(apiserver, namespace)["usage"]["gpus"] == 2)


def test_a_replica_gets_the_device_of_its_claim(apiserver: Cluster, namespace: str, node: str) -> None:
    apiserver.kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(TEMPLATE))
    apply(apiserver, namespace, engine={"resourceClaims": CLAIMS})
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    (pod,) = pods(apiserver, namespace)
    assert pod["spec"]["nodeName"] == node
    assert pod["spec"]["containers"][0]["resources"] == {"claims": [{"name": "gpu"}]}
    (claim,) = get(apiserver, "resourceclaims", "-n", namespace)["items"]
    assert claim["status"]["reservedFor"][0]["name"] == pod["metadata"]["name"]
    (given,) = claim["status"]["allocation"]["devices"]["results"]
    assert (given["driver"], given["device"]) == (DRIVER, "gpu-0")
    # There is no second device.
    apply(apiserver, namespace, engine={"resourceClaims": CLAIMS}, replicas=2)
    eventually(lambda: "check engine.resourceClaims" in condition(apiserver, namespace, "Ready")["message"])
    assert reason(apiserver, namespace) == "Unschedulable"


def test_a_claim_template_that_does_not_exist_is_named_until_it_does(
    apiserver: Cluster, namespace: str, node: str
) -> None:
    apply(apiserver, namespace, engine={"resourceClaims": CLAIMS})
    said = "waits for its claim of ResourceClaimTemplate one-gpu: if it stays so, check that this exists"
    eventually(lambda: said in condition(apiserver, namespace, "Ready")["message"])
    apiserver.kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(TEMPLATE))
    # The controller tries again after a while that grows with each failure.
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")


def test_accelerators_that_no_node_has_are_named(apiserver: Cluster, namespace: str) -> None:
    kinds = ["amd.com/gpu", "aws.amazon.com/neuron", "google.com/tpu", "gpu.intel.com/xe"]
    apply(apiserver, namespace, engine={"resources": {"limits": dict.fromkeys(kinds, 1)}})
    said = f"no node has enough {', '.join(kinds)} for pod"
    eventually(lambda: said in condition(apiserver, namespace, "Ready")["message"])
    assert "set engine.rollout to Recreate" in condition(apiserver, namespace, "Ready")["message"]
