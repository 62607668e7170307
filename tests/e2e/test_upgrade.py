"""An upgrade of the chart, as its README says, on a cluster of its own: no engine restarts and no stream is cut."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcluster import cluster as local
from localcluster import product, tools
from localcluster.cluster import Cluster
from localcluster.product import Load
from support import endpoints
from support.kube import eventually, get
from support.loads import stopped

pytestmark = pytest.mark.e2e
NAMESPACE = "team"
SWITCHES = ("metricsService", "grafanaDashboards", "networkPolicy")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The chart of an earlier version is installed."""
    if missing := local.missing_for_containers():
        pytest.skip(missing)
    made = local.up(f"upgrade-{os.getpid()}")
    try:
        made.kubectl("create", "namespace", NAMESPACE)
        product.install(made, tick_seconds=1.0, chart=earlier_chart(made, tmp_path_factory.mktemp("chart")))
        yield made
    finally:
        made.down()


def earlier_chart(cluster: Cluster, directory: Path) -> Path:
    tools.ensure(tools.HELM)
    version = "0.0.9"
    product.helm(
        cluster, "package", str(product.CHART), f"--version={version}", f"--app-version={version}", "-d", str(directory)
    )
    (archive,) = directory.glob("*.tgz")
    return archive


def engines(cluster: Cluster) -> list[tuple[str, int]]:
    """UID and restarts of each pod of the endpoint."""
    pods = get(cluster, "pods", "-n", NAMESPACE, "-l", "llmendpoint.dev/endpoint=llama")["items"]
    return sorted(
        (pod["metadata"]["uid"], sum(container["restartCount"] for container in pod["status"]["containerStatuses"]))
        for pod in pods
    )


def generations(cluster: Cluster) -> dict[str, tuple[str, int]]:
    """UID and generation of each child; one that is written with another spec gets another."""
    found = get(cluster, "deployments,replicasets,services,poddisruptionbudgets", "-n", NAMESPACE)["items"]
    return {
        f"{item['kind']}/{item['metadata']['name']}": (item["metadata"]["uid"], item["metadata"].get("generation", 0))
        for item in found
        if "llmendpoint.dev/endpoint" in item["metadata"].get("labels", {})
    }


def operators(cluster: Cluster) -> list[dict[str, Any]]:
    selector = "app.kubernetes.io/name=llmendpoint-operator"
    pods: list[dict[str, Any]] = get(cluster, "pods", "-n", product.NAMESPACE, "-l", selector)["items"]
    return pods


def test_an_upgrade_restarts_no_engine_and_cuts_no_stream(cluster: Cluster) -> None:
    endpoints.apply(
        cluster,
        NAMESPACE,
        model={"source": "hf://acme/llama", "servedName": "tiny"},
        engine={"env": endpoints.engine_env(1)},
        scaling={"minReplicas": 2, "maxReplicas": 2},
    )
    eventually(lambda: endpoints.reason(cluster, NAMESPACE) == "AllReplicasReady", 90)
    before = engines(cluster), generations(cluster), endpoints.endpoint(cluster, NAMESPACE)["metadata"]["generation"]
    assert len(before[0]) == 2
    earlier = {pod["metadata"]["uid"] for pod in operators(cluster)}

    client = Load(
        cluster, NAMESPACE, "client", [f"http://llama.{NAMESPACE}.svc.cluster.local", "--rate=4", "--seconds=600"]
    )
    eventually(client.lines, 60)
    switches = ",".join(f"{switch}.enabled=true" for switch in SWITCHES)
    product.helm(
        cluster, "upgrade", product.RELEASE, str(product.CHART), "-n", product.NAMESPACE, "--reset-then-reuse-values",
        f"--set=tickSeconds=2,{switches}", "--wait", "--timeout=120s",
    )  # fmt: skip
    eventually(lambda: operators(cluster) and not earlier & {pod["metadata"]["uid"] for pod in operators(cluster)}, 60)
    # The new operator has looked at everything when it answers an edit.
    edit = '{"spec":{"scaling":{"scaleIn":{"cooldownSeconds":301}}}}'
    cluster.kubectl("patch", "llmendpoint", "llama", "-n", NAMESPACE, "--type=merge", f"-p={edit}")
    eventually(lambda: observed(cluster) == before[2] + 1, 60)
    stopped(client, at_least=21)

    assert (engines(cluster), generations(cluster)) == before[:2]
    assert get(cluster, "configmap", "llmendpoint-operator-overview-dashboard", "-n", product.NAMESPACE)


def observed(cluster: Cluster) -> int:
    found: int = endpoints.condition(cluster, NAMESPACE, "Ready")["observedGeneration"]
    return found
