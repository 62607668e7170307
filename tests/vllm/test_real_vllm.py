"""A real vLLM under the operator: it answers, it is read, and it scales out and in without a cut stream."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from llmendpoint.engines import engine_for
from llmendpoint.metrics.parser import parse
from localcluster.cluster import Cluster
from localcluster.product import Load
from support.endpoints import NAME as LLAMA
from support.endpoints import condition, ready, replicas, status
from support.engine_metrics import bounds, families, simulated_vllm
from support.kube import eventually, get
from support.loads import all_complete

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(2400)]

# A replica that starts shares the processors with one that is busy.
START_SECONDS = 900.0
# More than the engine's slots, so that some wait.
MANY = 16


def load(cluster: Cluster, namespace: str, name: str, concurrency: int, *arguments: str) -> Load:
    url = f"http://{LLAMA}.{namespace}.svc.cluster.local"
    every = ["--model=tiny", "--max-tokens=400", f"--concurrency={concurrency}"]
    return Load(cluster, namespace, name, [url, *every, *arguments])


def engine_pods(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(
        cluster, "pods", "-n", namespace, "-l", f"llmendpoint.dev/endpoint={LLAMA},llmendpoint.dev/component=engine"
    )["items"]
    return found


def metrics_text(cluster: Cluster, pod: dict[str, Any]) -> str:
    path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}:8000/proxy/metrics"
    return cluster.kubectl("get", "--raw", path).stdout


def running(cluster: Cluster, pod: dict[str, Any]) -> float:
    name = "vllm:num_requests_running"
    return sum(sample.value for sample in parse(metrics_text(cluster, pod), {name})[name])


def both_are_busy(cluster: Cluster, namespace: str) -> bool:
    return ready(cluster, namespace, 2) and all(running(cluster, pod) for pod in engine_pods(cluster, namespace))


def alone_again(cluster: Cluster, namespace: str) -> bool:
    return ready(cluster, namespace, 1) and len(engine_pods(cluster, namespace)) == 1


def stopwatch(cluster: Cluster, namespace: str) -> Callable[[str], None]:
    """Prints what happened, after how many seconds, and the scaler's sentence."""
    began = time.monotonic()

    def note(what: str) -> None:
        decision = status(cluster, namespace)["scaling"]["decision"]
        print(f"\n  {time.monotonic() - began:4.0f} s  {what}: {decision['sentence']}", end="", flush=True)

    return note


def test_it_streams_an_answer_through_its_service(cluster: Cluster, namespace: str) -> None:
    all_complete(load(cluster, namespace, "client", 1, "--seconds=1"), at_least=1, seconds=300)


def test_the_operator_reads_its_metrics(cluster: Cluster, namespace: str) -> None:
    found = condition(cluster, namespace, "MetricsAvailable")
    assert (found["status"], found["reason"]) == ("True", "MetricsRead"), found["message"]


def test_it_shows_what_the_operator_reads_and_what_the_simulator_shows(cluster: Cluster, namespace: str) -> None:
    names = engine_for("vLLM").metrics
    text = metrics_text(cluster, engine_pods(cluster, namespace)[0])
    assert names.wanted - parse(text, names.wanted).keys() == {"vllm:gpu_cache_usage_perc"}, "its name before 0.12"
    assert families(simulated_vllm()) == families(text)
    for histogram in ("time_to_first_token_seconds", "e2e_request_latency_seconds", "iteration_tokens_total"):
        assert bounds(simulated_vllm(), histogram) == bounds(text, histogram)


def test_demand_scales_it_out_and_in_and_no_stream_is_cut(cluster: Cluster, namespace: str) -> None:
    steady = load(cluster, namespace, "steady", 3, "--seconds=2000", "--hammer=5")
    spike = load(cluster, namespace, "spike", MANY, "--seconds=2000")
    note = stopwatch(cluster, namespace)
    eventually(lambda: replicas(cluster, namespace) == 2, 120)
    note("second replica ordered")
    eventually(lambda: ready(cluster, namespace, 2), START_SECONDS)
    note("second replica ready")
    eventually(lambda: both_are_busy(cluster, namespace), 120)

    spike.stop()
    note("spike over")
    eventually(lambda: replicas(cluster, namespace) == 1, 600)
    note("scaled in")
    eventually(lambda: alone_again(cluster, namespace), 300)
    note("replica drained and gone")
    steady.stop()
    all_complete(spike, at_least=1, seconds=300)
    all_complete(steady, at_least=1, seconds=300, hammer=True)


def test_a_busy_replica_that_has_to_go_finishes_its_streams(cluster: Cluster, namespace: str) -> None:
    clients = load(cluster, namespace, "clients", MANY, "--seconds=2000", "--hammer=5")
    note = stopwatch(cluster, namespace)
    eventually(lambda: both_are_busy(cluster, namespace), START_SECONDS)
    note("two busy replicas")

    patch = json.dumps({"spec": {"scaling": {"maxReplicas": 1}}})
    cluster.kubectl("patch", "llmendpoint", LLAMA, "-n", namespace, "--type=merge", "-p", patch)
    leaving = eventually(
        lambda: [pod for pod in engine_pods(cluster, namespace) if "deletionTimestamp" in pod["metadata"]]
    )
    at_work = running(cluster, leaving[0])
    assert at_work > 0
    note(f"one has to go with {at_work:.0f} streams running")
    eventually(lambda: alone_again(cluster, namespace), 300)
    note("replica drained and gone")
    clients.stop()
    all_complete(clients, at_least=1, seconds=300, hammer=True)
