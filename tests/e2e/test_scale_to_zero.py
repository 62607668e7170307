"""An endpoint that sleeps, on a real node: a thousand requests at once wake it, and none is lost."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from localcluster import images
from localcluster.cluster import Cluster
from localcluster.product import Load
from support import endpoints
from support.endpoints import ready, reason, status
from support.kube import behind, eventually, get

pytestmark = pytest.mark.e2e

REQUESTS = 1000
HELD_IN_ROLL_OUT = 200
MODEL = {"source": "hf://acme/llama", "servedName": "tiny"}
ONE = {"minReplicas": 0, "maxReplicas": 1, "idleSeconds": 10, "scaleIn": {"cooldownSeconds": 0}}
RAG = {"image": images.image_name("rag"), "port": 8001, "env": [{"name": "PORT", "value": "8001"}]}
CONTROL_PORT = 9901


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.node.name.replace("_", "-").removeprefix("test-")[:40].strip("-")
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def asleep(cluster: Cluster, namespace: str, startup_seconds: int, **spec: Any) -> None:
    """Create an endpoint, see it serve, and wait until it sleeps."""
    environment = {"ENGINESIM_STARTUP_SECONDS": str(startup_seconds), "ENGINESIM_EXIT_SECONDS": "0.5"}
    engine = {"env": [{"name": name, "value": value} for name, value in environment.items()]}
    endpoints.apply(cluster, namespace, model=MODEL, engine=engine, scaling=ONE, **spec)
    eventually(lambda: ready(cluster, namespace, 1), 120)
    eventually(lambda: reason(cluster, namespace) == "Asleep" and not pods(cluster, namespace, "engine"), 120)


def pods(cluster: Cluster, namespace: str, component: str) -> dict[str, str]:
    """Addresses of the pods of a component, by name."""
    selector = f"llmendpoint.dev/component={component}"
    items = get(cluster, "pods", "-n", namespace, "-l", selector).get("items", [])
    return {item["metadata"]["name"]: item["status"].get("podIP", "") for item in items}


def answered(cluster: Cluster, namespace: str) -> int:
    """Requests that the activators have handed over."""
    total = 0
    for pod in pods(cluster, namespace, "activator"):
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}:{CONTROL_PORT}/proxy/metrics"
        found = re.search(r'requests_total\{result="answered"\} (\S+)', cluster.kubectl("get", "--raw", path).stdout)
        total += int(float(found[1])) if found else 0
    return total


def load(cluster: Cluster, namespace: str, name: str, *arguments: str) -> Load:
    return Load(cluster, namespace, name, [f"http://llama.{namespace}.svc.cluster.local", *arguments])


def at_once(cluster: Cluster, namespace: str, name: str, requests: int) -> Load:
    return load(cluster, namespace, name, f"--concurrency={requests}", "--seconds=1", "--max-tokens=5")


def assert_all_complete(result: dict[str, Any], requests: int) -> None:
    assert [result["streams"][bad] for bad in ("cut", "refused", "failed")] == [0, 0, 0], result
    assert result["streams"]["complete"] >= requests


def test_a_thousand_requests_at_once_wait_for_one_cold_start(cluster: Cluster, namespace: str) -> None:
    asleep(cluster, namespace, startup_seconds=8)
    activators = set(pods(cluster, namespace, "activator").values())
    assert len(activators) == 2
    for service in ("llama", "llama-engine"):
        assert behind(cluster, namespace, service) == activators
    result = at_once(cluster, namespace, "crowd", REQUESTS).result(180)
    print(json.dumps(result))
    assert_all_complete(result, REQUESTS)
    assert result["streams"]["ttftP50"] > 8
    scaling = status(cluster, namespace)["scaling"]
    print(json.dumps(scaling["history"]))
    woken = [change for change in scaling["history"] if change["fromReplicas"] == 0]
    assert len(woken) == 1
    assert "woken by" in woken[0]["sentence"]
    assert scaling["coldStartSeconds"]["samples"] == 2  # the first one, and the one that woke it


def test_an_endpoint_that_is_awake_has_no_activator_in_its_path(cluster: Cluster, namespace: str) -> None:
    asleep(cluster, namespace, startup_seconds=2)
    assert_all_complete(at_once(cluster, namespace, "first", 10).result(120), 10)
    engines = set(pods(cluster, namespace, "engine").values())
    for service in ("llama", "llama-engine", "llama-replicas"):
        eventually(lambda service=service: behind(cluster, namespace, service) == engines)
    time.sleep(2)  # until nodes have learned of it
    before = answered(cluster, namespace)
    assert before >= 10
    assert_all_complete(load(cluster, namespace, "later", "--rate=10", "--seconds=3").result(60), 10)
    assert answered(cluster, namespace) == before


def test_a_roll_out_of_the_activator_loses_none_that_waits(cluster: Cluster, namespace: str) -> None:
    asleep(cluster, namespace, startup_seconds=30)
    client = at_once(cluster, namespace, "crowd", HELD_IN_ROLL_OUT)
    eventually(lambda: status(cluster, namespace)["scaling"]["desiredReplicas"] == 1, 60)
    old = set(pods(cluster, namespace, "activator"))
    cluster.kubectl("rollout", "restart", "deployment/llama-activator", "-n", namespace)
    cluster.kubectl("rollout", "status", "deployment/llama-activator", "-n", namespace, "--timeout=25s")
    assert old <= set(pods(cluster, namespace, "activator"))  # they go on holding
    assert_all_complete(client.result(180), HELD_IN_ROLL_OUT)
    eventually(lambda: not old & set(pods(cluster, namespace, "activator")), 60)


def test_a_business_service_finds_its_engine_slow_and_never_absent(cluster: Cluster, namespace: str) -> None:
    asleep(cluster, namespace, startup_seconds=5, business=RAG)
    result = load(cluster, namespace, "client", "--rate=2", "--seconds=20", "--max-tokens=5").result(120)
    assert_all_complete(result, 20)
