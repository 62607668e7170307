"""An endpoint that sleeps, on a real node: a thousand requests at once wake it, and none is lost."""

import functools
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from localcluster import images
from localcluster.cluster import Cluster
from localcluster.product import Load
from support import endpoints
from support.endpoints import engine_env, ready, reason, status
from support.kube import behind, control_metric, eventually, get
from support.loads import all_complete

pytestmark = pytest.mark.e2e

REQUESTS = 1000
MODEL = {"source": "hf://acme/llama", "servedName": "tiny"}
ONE = {"minReplicas": 0, "maxReplicas": 1, "scaleIn": {"cooldownSeconds": 0}}
# Of the cold start that is looked at: a roll-out of the activator has its place in it, on a slow machine too.
STARTUP_SECONDS = 60
# Until then each of so many clients has begun, and none is answered.
BEGIN_SECONDS = 15
BUSINESS = {"image": images.image_name("business"), "port": 8001, "env": [{"name": "PORT", "value": "8001"}]}
HELD = "llmendpoint_activator_waiting"
ANSWERED = 'llmendpoint_activator_requests_total{result="answered"}'
# Reading a thousand prompts is not what is looked at.
QUICK = {"ENGINESIM_PREFILL_RATE": "1000000"}


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.node.name.replace("_", "-").removeprefix("test-")[:40].strip("-")
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def asleep(cluster: Cluster, namespace: str, startup_seconds: int, **spec: Any) -> None:
    """Create an endpoint, see it serve, and let it sleep. Its next start takes a time, and it then stays awake."""
    apply = functools.partial(endpoints.apply, cluster, namespace, model=MODEL, **spec)
    awake = {**ONE, "idleSeconds": 3600}
    apply(engine={"env": engine_env(1, **QUICK)}, scaling=awake)
    eventually(lambda: ready(cluster, namespace, 1), 120)
    apply(engine={"env": engine_env(1, **QUICK)}, scaling={**ONE, "idleSeconds": 10})
    eventually(lambda: is_asleep(cluster, namespace), 120)
    apply(engine={"env": engine_env(startup_seconds, **QUICK)}, scaling=awake)
    eventually(lambda: starts_in(cluster, namespace, startup_seconds) and is_asleep(cluster, namespace))


def is_asleep(cluster: Cluster, namespace: str) -> bool:
    return reason(cluster, namespace) == "Asleep" and not pods(cluster, namespace, "engine")


def starts_in(cluster: Cluster, namespace: str, seconds: int) -> bool:
    deployment = get(cluster, "deployment", "llama-engine", "-n", namespace)
    return {"name": "ENGINESIM_STARTUP_SECONDS", "value": str(seconds)} in deployment["spec"]["template"]["spec"][
        "containers"
    ][0]["env"]


def pods(cluster: Cluster, namespace: str, component: str) -> dict[str, str]:
    """Addresses of the pods of a component, by name."""
    selector = f"llmendpoint.dev/component={component}"
    items = get(cluster, "pods", "-n", namespace, "-l", selector).get("items", [])
    return {item["metadata"]["name"]: item["status"].get("podIP", "") for item in items}


def told(cluster: Cluster, namespace: str, series: str) -> float:
    """The value of a series, summed over the activators."""
    activators = pods(cluster, namespace, "activator")
    return sum(control_metric(cluster, namespace, pod, series) for pod in activators)


def load(cluster: Cluster, namespace: str, name: str, *arguments: str) -> Load:
    return Load(cluster, namespace, name, [f"http://llama.{namespace}.svc.cluster.local", *arguments])


def test_a_thousand_requests_at_once_wait_for_one_cold_start_also_while_the_activator_rolls_out(
    cluster: Cluster, namespace: str
) -> None:
    asleep(cluster, namespace, STARTUP_SECONDS)
    old = pods(cluster, namespace, "activator")
    assert len(old) == 2
    for service in ("llama", "llama-engine"):
        assert behind(cluster, namespace, service) == set(old.values())
    crowd = (f"--concurrency={REQUESTS}", f"--seconds={BEGIN_SECONDS}", "--max-tokens=5")
    client = load(cluster, namespace, "crowd", *crowd)
    eventually(lambda: status(cluster, namespace)["scaling"]["desiredReplicas"] == 1, 60)
    eventually(lambda: told(cluster, namespace, HELD) >= REQUESTS)
    cluster.kubectl("rollout", "restart", "deployment/llama-activator", "-n", namespace)
    cluster.kubectl("rollout", "status", "deployment/llama-activator", "-n", namespace, "--timeout=50s")
    assert old.keys() <= pods(cluster, namespace, "activator").keys()  # they go on holding
    result = all_complete(client, REQUESTS, seconds=180)
    assert result["streams"]["ttftP50"] > 20
    scaling = status(cluster, namespace)["scaling"]
    print(json.dumps(scaling["history"]))
    woken = [change for change in scaling["history"] if change["fromReplicas"] == 0]
    assert len(woken) == 1
    assert "woken by" in woken[0]["sentence"]
    # The first one, and the one that woke it.
    eventually(lambda: status(cluster, namespace)["scaling"]["coldStartSeconds"]["samples"] == 2)
    eventually(lambda: not old.keys() & pods(cluster, namespace, "activator").keys(), 60)
    assert_no_activator_is_in_its_path(cluster, namespace)


def assert_no_activator_is_in_its_path(cluster: Cluster, namespace: str) -> None:
    engines = set(pods(cluster, namespace, "engine").values())
    for service in ("llama", "llama-engine", "llama-replicas"):
        eventually(lambda service=service: behind(cluster, namespace, service) == engines)
    time.sleep(2)  # until nodes have learned of it
    before = told(cluster, namespace, ANSWERED)
    all_complete(load(cluster, namespace, "later", "--rate=10", "--seconds=3"), at_least=10)
    assert told(cluster, namespace, ANSWERED) == before


def test_a_business_service_finds_its_engine_slow_and_never_absent(cluster: Cluster, namespace: str) -> None:
    asleep(cluster, namespace, startup_seconds=4, business=BUSINESS)
    all_complete(load(cluster, namespace, "client", "--rate=2", "--seconds=10", "--max-tokens=5"), at_least=10)
