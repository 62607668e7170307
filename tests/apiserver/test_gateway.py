"""spec.gateway on an API server with the Gateway API's own definitions, in which the test speaks for the Gateways."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from localcluster.cluster import Cluster
from support.clusters import running_apiserver
from support.endpoints import NAME, apply, condition, reason, status
from support.kube import eventually, get
from support.operators import OperatorProcess, started_operator
from support.optional_kinds import install

pytestmark = pytest.mark.apiserver
GATEWAY = {"name": "public", "namespace": "gateways"}
POOL = {"endpointPickerRef": {"name": "picker", "port": 9002}}
HOST = "llama.example.com"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_apiserver("gateway", fake_nodes=2) as made:
        yield made


@pytest.fixture(scope="module")
def operator(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    with started_operator(cluster.kubeconfig, tmp_path_factory.mktemp("operator") / "operator.log") as started:
        started.await_ready()
        yield started


@pytest.fixture
def namespace(cluster: Cluster, operator: OperatorProcess, request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.node.name.replace("_", "-").removeprefix("test-")[:40].strip("-")
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "llmendpoints", "--all", "-n", name, "--wait=false")


def apply_with(cluster: Cluster, namespace: str, more: dict[str, Any] | None = None, **gateway: Any) -> None:
    apply(cluster, namespace, gateway={"parentRefs": [GATEWAY], **gateway}, **(more or {}))


def say(cluster: Cluster, namespace: str, kind: str = "httproute", **refusals: str) -> None:
    """What a Gateway's controller writes of an object as it is now: all is well but for what is refused."""
    generation = get(cluster, kind, NAME, "-n", namespace)["metadata"]["generation"]
    conditions = [
        {
            "type": kind,
            "status": "False" if kind in refusals else "True",
            "reason": refusals.get(kind, kind),
            "message": "in its words",
            "observedGeneration": generation,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        for kind in ("Accepted", "ResolvedRefs")
    ]
    parent = {"parentRef": GATEWAY, "controllerName": "acme.test/gateway", "conditions": conditions}
    patch = json.dumps({"status": {"parents": [parent]}})
    cluster.kubectl(
        "patch", kind, NAME, "-n", namespace, "--subresource=status", "--type=merge", f"-p={patch}"
    )  # fmt: skip


def said(cluster: Cluster, namespace: str) -> str:
    return str(condition(cluster, namespace, "RouteAccepted")["reason"])


def backend(cluster: Cluster, namespace: str) -> str:
    (rule,) = get(cluster, "httproute", NAME, "-n", namespace)["spec"]["rules"]
    return str(rule["backendRefs"][0]["kind"])


# In their order: the kinds are installed one after the other.


def test_without_the_kinds_the_endpoint_serves_and_says_what_to_install(
    cluster: Cluster, operator: OperatorProcess, namespace: str
) -> None:
    apply_with(cluster, namespace, hostnames=[HOST], inferencePool=POOL)
    eventually(lambda: reason(cluster, namespace) == "AllReplicasReady")
    assert "install the Gateway API" in condition(cluster, namespace, "RouteAccepted")["message"]
    install(cluster, "httproutes")
    eventually(lambda: "Inference Extension" in condition(cluster, namespace, "RouteAccepted")["message"])
    eventually(lambda: backend(cluster, namespace) == "Service")
    say(cluster, namespace)
    eventually(lambda: status(cluster, namespace)["url"] == f"http://{HOST}")
    install(cluster, "inferencepools")
    eventually(lambda: backend(cluster, namespace) == "InferencePool")
    pool = get(cluster, "inferencepool", NAME, "-n", namespace)["spec"]
    labels = {"llmendpoint.dev/endpoint": NAME, "llmendpoint.dev/component": "engine"}
    assert (pool["selector"], pool["targetPorts"]) == ({"matchLabels": labels}, [{"number": 8000}])
    eventually(lambda: said(cluster, namespace) == "RoutePending")  # the Gateway has not seen the route as it is now
    say(cluster, namespace)
    eventually(lambda: said(cluster, namespace) == "RouteAccepted")
    say(cluster, namespace, "inferencepool", ResolvedRefs="InvalidExtensionRef")
    eventually(lambda: said(cluster, namespace) == "RouteRefused")
    assert reason(cluster, namespace) == "AllReplicasReady"


def test_the_url_follows_what_the_gateway_says(cluster: Cluster, namespace: str) -> None:
    apply_with(cluster, namespace, hostnames=[HOST], scheme="https")
    eventually(lambda: said(cluster, namespace) == "RoutePending")
    inside = f"http://{NAME}.{namespace}.svc:80"
    assert status(cluster, namespace)["url"] == inside
    say(cluster, namespace, Accepted="NotAllowedByListeners")
    eventually(lambda: said(cluster, namespace) == "RouteRefused")
    message = f"Gateway gateways/public says of HTTPRoute {NAME}: NotAllowedByListeners: in its words"
    assert condition(cluster, namespace, "RouteAccepted")["message"] == message
    say(cluster, namespace)
    eventually(lambda: status(cluster, namespace)["url"] == f"https://{HOST}")
    events = ("events.events.k8s.io", "-n", namespace)
    eventually(lambda: "RouteRefused" in {event["reason"] for event in get(cluster, *events)["items"]})


def test_an_edit_is_undone_and_a_settled_route_is_not_written(cluster: Cluster, namespace: str) -> None:
    apply_with(cluster, namespace, hostnames=[HOST], inferencePool=POOL)
    eventually(lambda: backend(cluster, namespace) == "InferencePool")
    before = get(cluster, "httproute", NAME, "-n", namespace)["spec"]
    another = {"op": "add", "path": "/spec/parentRefs/-", "value": {"name": "another"}}
    cluster.kubectl("patch", "httproute", NAME, "-n", namespace, "--type=json", f"-p={json.dumps([another])}")
    eventually(lambda: get(cluster, "httproute", NAME, "-n", namespace)["spec"] == before)
    cluster.kubectl("delete", "inferencepool", NAME, "-n", namespace)
    eventually(lambda: get(cluster, "inferencepool", NAME, "-n", namespace))
    say(cluster, namespace)
    eventually(lambda: said(cluster, namespace) == "RouteAccepted")
    eventually(lambda: reason(cluster, namespace) == "AllReplicasReady")

    def versions() -> list[str]:
        items = get(cluster, "llmendpoints,httproutes,inferencepools", "-n", namespace)["items"]
        return [item["metadata"]["resourceVersion"] for item in items]

    time.sleep(3)
    settled = versions()
    time.sleep(12)  # two resyncs and twelve ticks
    assert versions() == settled


def test_what_is_not_asked_for_any_more_goes(cluster: Cluster, namespace: str) -> None:
    apply_with(cluster, namespace, inferencePool=POOL)
    eventually(lambda: backend(cluster, namespace) == "InferencePool")
    apply_with(cluster, namespace, {"business": {"image": "example.test/rag:1"}})
    eventually(lambda: not get(cluster, "inferencepool", NAME, "-n", namespace))
    assert backend(cluster, namespace) == "Service"
    apply(cluster, namespace)
    eventually(lambda: not get(cluster, "httproute", NAME, "-n", namespace))
    eventually(lambda: "RouteAccepted" not in {entry["type"] for entry in status(cluster, namespace)["conditions"]})


def test_a_route_of_somebody_else_is_left_alone(cluster: Cluster, namespace: str) -> None:
    theirs = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"hostnames": ["theirs.example"]},
    }
    cluster.control_plane.apply([theirs])
    apply_with(cluster, namespace)
    eventually(lambda: reason(cluster, namespace) == "NotOwned")
    assert get(cluster, "httproute", NAME, "-n", namespace)["spec"]["hostnames"] == ["theirs.example"]
