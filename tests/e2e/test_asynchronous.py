"""Jobs on a real node: they wake an endpoint that sleeps, survive a worker that is killed, and let it sleep again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcluster.cluster import Cluster
from localcluster.product import Client
from support import endpoints
from support.endpoints import condition, reason, status
from support.kube import control_metric, eventually, get

pytestmark = pytest.mark.e2e

JOBS = 60
PER_REPLICA = 40
CONCURRENCY = 8
# A job takes about nine seconds: a worker that is found busy still has its jobs when it is killed.
TOKENS = 240
CLIENT = Path(__file__).with_name("job_client.py").read_text()
MODEL = {"source": "hf://acme/llama", "servedName": "tiny"}
SCALING = {
    "minReplicas": 0, "maxReplicas": 3, "idleSeconds": 10, "scaleIn": {"cooldownSeconds": 0, "holdSeconds": 0},
}  # fmt: skip
ASYNC = {"backlogPerReplica": PER_REPLICA, "workers": {"replicas": 2, "concurrency": CONCURRENCY}}
ENGINE = {"env": endpoints.engine_env()}


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    cluster.kubectl("create", "namespace", "jobs")
    yield "jobs"
    cluster.kubectl("delete", "namespace", "jobs", "--wait=false")


def pods(cluster: Cluster, namespace: str, component: str) -> list[str]:
    items = get(cluster, "pods", "-n", namespace, "-l", f"llmendpoint.dev/component={component}").get("items", [])
    return [item["metadata"]["name"] for item in items]


def busy_worker(cluster: Cluster, namespace: str) -> str | None:
    """One that has more than half of its places taken."""
    running = {
        worker: control_metric(cluster, namespace, worker, "llmendpoint_jobs_running")
        for worker in pods(cluster, namespace, "worker")
    }
    return next((worker for worker, jobs in running.items() if jobs > CONCURRENCY / 2), None)


def is_asleep(cluster: Cluster, namespace: str) -> bool:
    return reason(cluster, namespace) == "Asleep" and not pods(cluster, namespace, "engine")


def history(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = status(cluster, namespace)["scaling"]["history"]
    return found


def test_jobs_wake_an_endpoint_and_are_all_answered_although_a_worker_is_killed(
    cluster: Cluster, namespace: str
) -> None:
    endpoints.apply(cluster, namespace, model=MODEL, engine=ENGINE, scaling=SCALING, **{"async": ASYNC})
    eventually(lambda: condition(cluster, namespace, "QueueAvailable")["reason"] == "BacklogVolatile", 120)
    # Ten seconds after it was ready, which passes unseen where the test is slow, and not before.
    eventually(lambda: is_asleep(cluster, namespace), 180)

    url = status(cluster, namespace)["asyncURL"]
    client = Client(cluster, namespace, "client", ["/app/bin/python", "-c", CLIENT, url, str(JOBS), str(TOKENS)])
    victim = eventually(lambda: busy_worker(cluster, namespace), 60)
    cluster.kubectl("delete", "pod", victim, "-n", namespace, "--grace-period=0", "--force")

    result = client.result(240)
    print(json.dumps(client.lines()))
    assert client.lines()[0]["accepted"] == JOBS  # although each was sent twice
    assert (result["statuses"], result["answers"]) == ({"completed": JOBS}, JOBS)
    assert result["attempts"]["2"] > 0  # those that the killed one had

    eventually(lambda: is_asleep(cluster, namespace), 60)
    changes = history(cluster, namespace)
    print(json.dumps(changes))
    woken = [change for change in changes if change["fromReplicas"] == 0]
    assert len(woken) == 1
    assert "woken by jobs" in woken[0]["sentence"]
    # As many as its backlog asks for, and no request waited at an activator for it.
    assert max(change["toReplicas"] for change in changes) >= JOBS // PER_REPLICA + 1
    assert changes[0]["toReplicas"] == 0
