"""The chart on a cluster of its own: confined to one namespace, and removed without a trace."""

import os
from collections.abc import Iterator

import pytest

from localcluster import cluster as local
from localcluster import product
from localcluster.cluster import Cluster
from support import endpoints
from support.kube import eventually, get

pytestmark = pytest.mark.e2e
CHILDREN = "deployments,services,persistentvolumeclaims,horizontalpodautoscalers,poddisruptionbudgets,pods"
CLUSTER_WIDE = "clusterroles,clusterrolebindings"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if missing := local.missing_for_containers():
        pytest.skip(missing)
    made = local.up(f"install-{os.getpid()}")
    try:
        for namespace in ("team-a", "team-b"):
            made.kubectl("create", "namespace", namespace)
        product.install(made, tick_seconds=1.0, watch_namespaces=["team-a"])
        yield made
    finally:
        made.down()


def apply(cluster: Cluster, namespace: str) -> None:
    model = {"source": "hf://acme/llama", "cache": {"size": "1Gi"}}
    engine = {"env": endpoints.engine_env(1)}
    endpoints.apply(cluster, namespace, model=model, engine=engine, scaling={"maxReplicas": 2})


def names(cluster: Cluster, *what: str) -> list[str]:
    return [f"{item['kind']}/{item['metadata']['name']}" for item in get(cluster, *what).get("items", [])]


def test_an_operator_of_one_namespace_needs_no_cluster_role(cluster: Cluster) -> None:
    assert [name for name in names(cluster, CLUSTER_WIDE) if "llmendpoint" in name] == []
    apply(cluster, "team-a")
    apply(cluster, "team-b")
    cluster.kubectl("wait", "-n", "team-a", "--for=condition=Ready", "llmendpoint/llama", "--timeout=120s")
    assert names(cluster, CHILDREN, "-n", "team-b") == []


@pytest.mark.parametrize(
    "program", ["/bin/sh", "/bin/bash", "/usr/bin/apt-get", "/usr/bin/perl", "/usr/bin/find", "/app/bin/pip"]
)
def test_the_operators_image_has_nothing_to_run_but_python(cluster: Cluster, program: str) -> None:
    inside = ("exec", f"deployment/{product.RELEASE}", "-n", product.NAMESPACE, "--")
    refused = cluster.kubectl(*inside, program, check=False)
    assert refused.returncode
    assert "no such file or directory" in refused.stderr
    assert cluster.kubectl(*inside, "python3", "-c", "print('runs')").stdout == "runs\n"


def test_one_replica_leads_and_the_other_takes_over_when_it_is_deleted(cluster: Cluster) -> None:
    def holder() -> str:
        lease = get(cluster, "lease", product.RELEASE, "-n", product.NAMESPACE)
        return str(lease["spec"]["holderIdentity"]).partition("_")[0]

    running = ("get", "deployment", product.RELEASE, "-n", product.NAMESPACE, "-o", "jsonpath={.status.readyReplicas}")
    first = eventually(holder)
    cluster.kubectl("delete", "pod", first, "-n", product.NAMESPACE, "--wait=false")
    # How soon is measured without a node, which takes its time to stop a pod.
    eventually(lambda: holder() not in {"", first})
    eventually(lambda: cluster.kubectl(*running).stdout == "2", 60)


def test_uninstalling_leaves_endpoints_serving_and_then_nothing(cluster: Cluster) -> None:
    product.helm(cluster, "uninstall", product.RELEASE, "-n", product.NAMESPACE, "--wait", "--timeout=120s")
    deployment = get(cluster, "deployment", "llama-engine", "-n", "team-a")
    assert deployment["status"]["readyReplicas"] == 1, "the engine outlives its operator"

    # As the README says: nothing waits for an operator that is gone. The CRDs go last, because the garbage collector
    # can not look for the owners of a kind that is gone.
    cluster.kubectl("delete", "llmbatches,llmendpoints", "--all", "-A", "--timeout=30s")
    eventually(lambda: not names(cluster, CHILDREN, "-A", "-l", "llmendpoint.dev/endpoint"), 90)
    crds = ("llmbatches.llmendpoint.dev", "llmendpoints.llmendpoint.dev")
    cluster.kubectl("delete", "crd", *crds, "--timeout=60s")
    cluster.kubectl("delete", "namespace", product.NAMESPACE, "team-a", "team-b", "--timeout=120s")
    everywhere = f"{CLUSTER_WIDE},roles,rolebindings,serviceaccounts,secrets,configmaps,crds,leases"
    assert [name for name in names(cluster, everywhere, "-A") if "llmendpoint" in name.lower()] == []
