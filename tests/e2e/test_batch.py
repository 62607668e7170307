"""Batches on a real node: with engines of their own or by an endpoint that sleeps, and a worker that is lost."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from localcluster.cluster import Cluster
from support import batch_objects, claims, endpoints
from support.batch_objects import NAME, condition, status
from support.kube import control_metric, eventually, get

pytestmark = pytest.mark.e2e

INSIDE = "/files"
TOKENS = 10
COMPLETED = 'llmendpoint_batch_lines_total{result="completed"}'
SERVING: dict[str, Any] = {
    "model": {"source": "hf://acme/llama", "servedName": "tiny"},
    "engine": {"env": endpoints.engine_env()},
}
OWN = {**SERVING, "scaling": {"maxReplicas": 1, "pricePerGPUHour": 2}}
SLEEPING = {"minReplicas": 0, "maxReplicas": 1, "idleSeconds": 10, "scaleIn": {"cooldownSeconds": 0}}


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.node.name.replace("_", "-").removeprefix("test-")[:40].strip("-")
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def files(cluster: Cluster, namespace: str) -> Iterator[str]:
    """A pod that has the claim of both files, as a user's would."""
    claims.apply(cluster, namespace, INSIDE, f"mkdir -p {INSIDE}/in && chmod 0777 {INSIDE}")
    yield "files"
    # Its volume is a folder of the node that the next test may get.
    inside(cluster, namespace, f"rm -rf {INSIDE}/in {INSIDE}/out")


def inside(cluster: Cluster, namespace: str, script: str, stdin: str | None = None) -> str:
    """Run a script in the pod that has the claim."""
    return cluster.kubectl("exec", "-i", "files", "-n", namespace, "--", "sh", "-c", script, stdin=stdin).stdout


def line(number: int) -> str:
    body = {"model": "tiny", "messages": [{"role": "user", "content": f"question {number}"}], "max_tokens": TOKENS}
    return json.dumps({"custom_id": f"line-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body})


def written(cluster: Cluster, namespace: str, file: str) -> list[dict[str, Any]]:
    """The lines of a file that the batch has made."""
    return [json.loads(text) for text in inside(cluster, namespace, f"cat {INSIDE}/out/{file}").splitlines()]


def states(cluster: Cluster, namespace: str) -> set[str]:
    """Each state that was told of the batch."""
    items = get(cluster, "events.events.k8s.io", "-n", namespace)["items"]
    return {item["reason"] for item in items if item["regarding"]["kind"] == "LLMBatch"}


def worker(cluster: Cluster, namespace: str) -> str:
    """Name of a pod that works on the first shard."""
    selector = f"llmendpoint.dev/batch={NAME},batch.kubernetes.io/job-completion-index=0"
    (pod,) = get(cluster, "pods", "-n", namespace, "-l", selector)["items"]
    return str(pod["metadata"]["name"])


def apply(cluster: Cluster, namespace: str, claim: str, lines: list[str], **spec: Any) -> None:
    """Have some lines answered."""
    inside(cluster, namespace, f"cat > {INSIDE}/in/march.jsonl", "\n".join(lines) + "\n")
    uris = {"input": {"uri": f"pvc://{claim}/in/march.jsonl"}, "output": {"uri": f"pvc://{claim}/out"}}
    batch_objects.apply(cluster, namespace, shards=2, **uris, **spec)


def test_a_batch_with_its_own_engines_loses_a_worker_and_no_line(cluster: Cluster, namespace: str, files: str) -> None:
    count = 400
    lines = [line(number) for number in range(count)]
    lines[count // 2] = "this is no JSON"
    # At this pace the whole takes about twenty seconds.
    apply(cluster, namespace, files, lines, endpoint=OWN, concurrency=3)
    eventually(lambda: 0 < status(cluster, namespace)["percent"] < 90, 90)
    lost = worker(cluster, namespace)
    # A worker asks every two seconds whether the engine is ready: the other one may be that much ahead.
    eventually(lambda: control_metric(cluster, namespace, lost, COMPLETED))
    cluster.kubectl("delete", "pod", lost, "-n", namespace, "--wait=false")
    eventually(lambda: condition(cluster, namespace, "Complete")["status"] == "True", 120)

    seen = status(cluster, namespace)
    print(json.dumps(seen))
    answered = Counter(answer["custom_id"] for answer in written(cluster, namespace, "output.jsonl"))
    assert answered == Counter(f"line-{number}" for number in range(count) if number != count // 2)
    assert len(written(cluster, namespace, "errors.jsonl")) == 1
    assert (seen["lines"], seen["completed"], seen["failed"], seen["percent"]) == (count, count - 1, 1, 100)
    assert seen["linesResumed"] > 0
    assert seen["completionTokens"] == (count - 1) * TOKENS
    assert seen["usage"]["cost"] == pytest.approx(2 * seen["usage"]["gpuHours"], rel=0.05)
    assert condition(cluster, namespace, "Complete")["reason"] == "SomeLinesFailed"
    eventually(lambda: not get(cluster, "llmendpoint", NAME, "-n", namespace))


def test_a_batch_wakes_the_endpoint_that_it_names(cluster: Cluster, namespace: str, files: str) -> None:
    endpoints.apply(cluster, namespace, scaling=SLEEPING, **SERVING)
    eventually(lambda: endpoints.reason(cluster, namespace) == "Asleep", 120)
    apply(cluster, namespace, files, [line(number) for number in range(50)])
    eventually(lambda: condition(cluster, namespace, "Complete")["status"] == "True", 120)
    seen = status(cluster, namespace)
    print(json.dumps(seen))
    assert (seen["endpoint"], seen["completed"], seen["failed"]) == (endpoints.NAME, 50, 0)
    history = endpoints.status(cluster, namespace)["scaling"]["history"]
    assert [change["toReplicas"] for change in history if change["fromReplicas"] == 0] == [1]
    eventually(lambda: "AllLinesAnswered" in states(cluster, namespace))
    assert states(cluster, namespace) <= {"WorkersStarting", "EndpointNotReady", "Working", "AllLinesAnswered"}
