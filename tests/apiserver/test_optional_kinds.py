"""Kinds of other projects that are installed and removed while the operator runs."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from localcluster.cluster import Cluster
from support.clusters import running_apiserver
from support.endpoints import NAME, apply, endpoint, reason
from support.kube import eventually, get
from support.operators import OperatorProcess, started_operator
from support.optional_kinds import install, remove

pytestmark = pytest.mark.apiserver
NAMESPACE = "default"
RESYNC_SECONDS = 10
"""What is noticed in less was watched."""
ROUTES = "httproutes"
SERVED, GONE = "a kind is served from now on", "a kind is served no more"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_apiserver("optional", fake_nodes=1) as made:
        yield made


@pytest.fixture(scope="module")
def operator(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    with started_operator(cluster.kubeconfig, log, RESYNC_SECONDS=str(RESYNC_SECONDS)) as started:
        started.await_ready()
        yield started


def child_that_nobody_wants(cluster: Cluster) -> dict[str, Any]:
    """With the labels and the owner of the endpoint's own."""
    service = get(cluster, "service", NAME, "-n", NAMESPACE)
    kept = {name: service["metadata"][name] for name in ("namespace", "labels", "ownerReferences")}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "unwanted", **kept},
        "spec": {"rules": [{"backendRefs": [{"name": NAME, "port": 80}]}]},
    }


def is_deleted_at_once(cluster: Cluster) -> None:
    cluster.control_plane.apply([child_that_nobody_wants(cluster)])
    eventually(lambda: not get(cluster, ROUTES, "-n", NAMESPACE).get("items"), 0.8 * RESYNC_SECONDS)


def said(operator: OperatorProcess, event: str) -> int:
    lines = [json.loads(line) for line in operator.log.read_text().splitlines() if line.startswith("{")]
    return sum(line["event"] == event and line.get("kind") == "HTTPRoute" for line in lines)


def test_a_kind_is_watched_from_when_it_is_served_until_it_is_no_more(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    apply(cluster, NAMESPACE)
    eventually(lambda: reason(cluster, NAMESPACE) == "AllReplicasReady")
    assert said(operator, SERVED) == 0
    before = endpoint(cluster, NAMESPACE)["metadata"]["resourceVersion"]
    for round_ in (1, 2):
        install(cluster, ROUTES)
        eventually(lambda: said(operator, SERVED) == round_, 2 * RESYNC_SECONDS)  # noqa: B023 - called in its round
        is_deleted_at_once(cluster)
        remove(cluster, ROUTES)
        eventually(lambda: said(operator, GONE) == round_, 2 * RESYNC_SECONDS)  # noqa: B023
    assert operator.process.poll() is None
    assert endpoint(cluster, NAMESPACE)["metadata"]["resourceVersion"] == before
