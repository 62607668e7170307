"""Each trouble on a real node has a reason of its own and a message that says what to do."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from localcluster.cluster import Cluster
from localcluster.product import Load
from support.endpoints import NAME, apply, condition, ready, reason
from support.kube import eventually, get

pytestmark = pytest.mark.e2e
STALL_SECONDS = 60
TOKEN = {"source": "hf://acme/llama", "tokenSecretRef": {"name": "hf-token", "key": "token"}}
ABSENT = "registry.invalid/none:1"


def engine(startup: str = "1", **settings: Any) -> dict[str, Any]:
    """An engine that needs no GPU, of which the node has few."""
    env = [{"name": "ENGINESIM_STARTUP_SECONDS", "value": startup}]
    return {"resources": {"requests": {"cpu": "10m"}}, "env": env, **settings}


@dataclass(frozen=True)
class Case:
    """An endpoint that has to come to a reason, with a message of this pattern; ``POD`` stands for its pod."""

    spec: Mapping[str, Any]
    reason: str
    message: str
    within: float = 120.0


IMAGE_MESSAGE = (
    r"image registry\.invalid/none:1 of pod POD can not be pulled \(.+\): "
    r"check that the nodes reach the registry, or name another one in {}"
)
CASES = {
    "missing-secret": Case(
        {"model": TOKEN, "engine": engine()},
        "SecretNotFound",
        r"Secret hf-token does not exist in this namespace and pod POD needs it: create it, the pod then starts by "
        r"itself",
    ),
    "missing-key": Case(
        {"model": TOKEN, "engine": engine()},
        "SecretNotFound",
        r"Secret hf-token has no key token and pod POD needs it: add the key, the pod then starts by itself",
    ),
    "engine-image": Case(
        {"engine": engine(podTemplate={"spec": {"containers": [{"name": "engine", "image": ABSENT}]}})},
        "ImagePullFailed",
        IMAGE_MESSAGE.format("engine.image"),
    ),
    "business-image": Case(
        {"engine": engine(), "business": {"image": ABSENT}}, "ImagePullFailed", IMAGE_MESSAGE.format("business.image")
    ),
    "crash-loop": Case(
        {"engine": engine("soon")},
        "CrashLoop",
        r"container engine of pod POD keeps exiting \(exit code 1: ValueError: ENGINESIM_STARTUP_SECONDS must be a "
        r"number, not 'soon'\): see kubectl logs POD -c engine --previous",
    ),
    "too-slow": Case(
        {"engine": engine("60", startupTimeoutSeconds=10)},
        "StartupTimeout",
        r"the engine in pod POD was not ready after 10 s and was restarted: raise engine.startupTimeoutSeconds, or "
        r"give model.cache so that weights are not downloaded at each start",
    ),
    "out-of-memory": Case(
        {"engine": engine(resources={"requests": {"cpu": "10m"}, "limits": {"memory": "24Mi"}})},
        "OutOfMemory",
        r"container engine of pod POD was killed for using more memory than its limit: raise "
        r"engine.resources.limits.memory",
    ),
    "missing-claim": Case(
        {"model": {"source": "pvc://weights/llama"}, "engine": engine()},
        "VolumePending",
        r"PersistentVolumeClaim weights does not exist in this namespace and pod POD needs it: create it or correct "
        r"model.source, the pod then starts by itself",
    ),
    "stalled": Case(
        {"engine": engine(), "scaling": {"maxReplicas": 1}},
        "EngineStalled",
        r"POD: requests are running and no token has come for a while, so the accelerator may hang: look at the node, "
        r"or delete the pod to replace it",
        within=STALL_SECONDS + 120.0,
    ),
}


@pytest.fixture(scope="module")
def troubled(cluster: Cluster) -> Iterator[Cluster]:
    """All cases at once, because they take their time: a namespace for each."""
    try:
        for namespace, case in CASES.items():
            cluster.kubectl("create", "namespace", namespace)
            if namespace == "missing-key":
                cluster.kubectl("create", "secret", "generic", "hf-token", "-n", namespace, "--from-literal=other=x")
            apply(cluster, namespace, **case.spec)
        stall(cluster, "stalled")
        yield cluster
    finally:
        cluster.kubectl("delete", "namespace", *CASES, "--wait=false", "--ignore-not-found")


def stall(cluster: Cluster, namespace: str) -> None:
    """Let the engine hang in the middle of its answers."""
    eventually(lambda: ready(cluster, namespace, 1), 120)
    url = f"http://{NAME}.{namespace}.svc.cluster.local"
    client = Load(cluster, namespace, "client", [url, "--rate=2", "--seconds=3", "--max-tokens=4000"])
    eventually(lambda: [line for line in client.lines() if line["streams"]["ttftP50"]], 60)
    (pod,) = pods(cluster, namespace)
    faults = f"/api/v1/namespaces/{namespace}/pods/{pod}:8000/proxy/enginesim/faults"
    cluster.kubectl("create", "--raw", faults, "-f", "-", stdin=json.dumps({"hang": True}))


def pods(cluster: Cluster, namespace: str) -> list[str]:
    """The endpoint's pods; the business service's where there is one, because it is what is in trouble then."""
    items = get(cluster, "pods", "-n", namespace, "-l", f"llmendpoint.dev/endpoint={NAME}")["items"]
    names = [item["metadata"]["name"] for item in items]
    return [name for name in names if "-business-" in name] or names


@pytest.mark.parametrize("namespace", CASES)
def test_a_trouble_has_its_reason_and_says_what_to_do(troubled: Cluster, namespace: str) -> None:
    case = CASES[namespace]
    eventually(lambda: reason(troubled, namespace) == case.reason, case.within)
    found = condition(troubled, namespace, "Ready")
    assert found["status"] == "False"
    (pod,) = pods(troubled, namespace)
    assert re.fullmatch(case.message.replace("POD", pod), found["message"]), found["message"]

    def warnings() -> list[dict[str, Any]]:
        items = get(troubled, "events.events.k8s.io", "-n", namespace)["items"]
        own = [item for item in items if item["regarding"]["kind"] == "LLMEndpoint" and item["type"] == "Warning"]
        return [item for item in own if item["reason"] == case.reason]

    (warning,) = eventually(warnings)
    assert re.fullmatch(case.message.replace("POD", pod), warning["note"]), warning["note"]


@pytest.mark.parametrize(
    ("namespace", "command"),
    [
        ("missing-secret", ("create", "secret", "generic", "hf-token", "--from-literal=token=x")),
        ("missing-key", ("patch", "secret", "hf-token", "-p", '{"stringData": {"token": "x"}}')),
    ],
)
def test_a_secret_that_comes_later_heals_the_endpoint_by_itself(
    troubled: Cluster, namespace: str, command: tuple[str, ...]
) -> None:
    eventually(lambda: reason(troubled, namespace) == "SecretNotFound", 60)
    before = pods(troubled, namespace)
    troubled.kubectl(*command, "-n", namespace)
    eventually(lambda: ready(troubled, namespace, 1), 120)
    assert pods(troubled, namespace) == before
