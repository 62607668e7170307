"""Groups of pods on a real node: they find each other by name, end as one, and leave without cutting a stream."""

import time
from collections.abc import Iterator

import pytest

from localcluster.cluster import Cluster
from localcluster.product import Load
from support import endpoints
from support.endpoints import ready
from support.kube import eventually, get
from support.loads import stopped
from support.lws import running_controllers

pytestmark = pytest.mark.e2e

NAMESPACE = "multi-node"
ENGINE = f"{endpoints.NAME}-engine"
LONG = 120.0
# By then streams are under way in both groups.
LATER_SECONDS = 8


@pytest.fixture(scope="module")
def groups(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two groups of two pods."""
    if cluster.kind != "local":
        pytest.skip("LeaderWorkerSet's webhooks run on this machine, which only a cluster made here is sure to reach")
    with running_controllers(cluster, tmp_path_factory.mktemp("lws")):
        cluster.kubectl("create", "namespace", NAMESPACE)
        endpoints.apply(
            cluster,
            NAMESPACE,
            model={"source": "hf://acme/llama", "servedName": "tiny"},
            engine={"nodesPerReplica": 2, "env": endpoints.engine_env()},
            scaling={"maxReplicas": 2, "mode": "Off"},
            replicas=2,
        )
        eventually(lambda: ready(cluster, NAMESPACE, 2), LONG)
        yield cluster
        cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def uid(cluster: Cluster, pod: str) -> str | None:
    found: str | None = get(cluster, "pod", pod, "-n", NAMESPACE).get("metadata", {}).get("uid")
    return found


def load(cluster: Cluster, name: str) -> Load:
    url = f"http://llama.{NAMESPACE}.svc.cluster.local"
    # Streams of about 12 s.
    return Load(cluster, NAMESPACE, name, [url, "--rate=2", "--seconds=600", "--max-tokens=400"])


def test_a_worker_joins_its_leader_by_name(groups: Cluster) -> None:
    said = groups.kubectl("logs", f"{ENGINE}-1-1", "-n", NAMESPACE).stdout
    assert f"rank 1 of 2 has joined {ENGINE}-1.{ENGINE}-1.{NAMESPACE}" in said


def test_a_worker_whose_pod_is_deleted_stays_until_its_leader_has_finished_its_streams(groups: Cluster) -> None:
    before = uid(groups, f"{ENGINE}-1")
    client = load(groups, "drained")
    time.sleep(LATER_SECONDS)
    groups.kubectl("delete", "pod", f"{ENGINE}-1-1", "-n", NAMESPACE, "--wait=false")
    eventually(lambda: uid(groups, f"{ENGINE}-1") not in {None, before}, LONG)
    eventually(lambda: ready(groups, NAMESPACE, 2), LONG)
    stopped(client, at_least=11)


def test_a_scale_in_cuts_no_stream_and_ends_the_workers(groups: Cluster) -> None:
    client = load(groups, "scaled")
    time.sleep(LATER_SECONDS)
    groups.kubectl("scale", "llmendpoint", "llama", "-n", NAMESPACE, "--replicas=1")
    eventually(lambda: ready(groups, NAMESPACE, 1) and uid(groups, f"{ENGINE}-1-1") is None, LONG)
    stopped(client, at_least=11)


def test_a_worker_that_ends_takes_its_group_with_it(groups: Cluster) -> None:
    eventually(lambda: ready(groups, NAMESPACE, 1), LONG)
    before = {name: uid(groups, name) for name in (f"{ENGINE}-0", f"{ENGINE}-0-1")}
    groups.kubectl("exec", f"{ENGINE}-0-1", "-n", NAMESPACE, "--", "sh", "-c", "kill -TERM 1", check=False)
    eventually(lambda: all(uid(groups, name) not in {None, old} for name, old in before.items()), LONG)
    eventually(lambda: ready(groups, NAMESPACE, 1), LONG)
