"""Replicas over several nodes, by the real LeaderWorkerSet: its kind, its webhooks and its controllers."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from localcluster.cluster import Cluster
from support.clusters import running_apiserver
from support.endpoints import NAME, apply, condition, ready, reason, status
from support.kube import behind, eventually, get
from support.lws import LEADER_WORKER_SETS, running_controllers
from support.operators import OperatorProcess, started_operator

pytestmark = pytest.mark.apiserver
NAMESPACE = "default"
ENGINE = f"{NAME}-engine"
GPUS: dict[str, Any] = {"resources": {"limits": {"nvidia.com/gpu": 4}}}
SPREAD = {"nodesPerReplica": 2, "drainSeconds": 0, "preStopSeconds": 1, **GPUS}
ALONE = {"drainSeconds": 0, "preStopSeconds": 1, **GPUS}
LONG = 90.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_apiserver("multinode", fake_nodes=4) as made:
        yield made


@pytest.fixture(scope="module")
def operator(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    with started_operator(cluster.kubeconfig, log) as started:
        started.await_ready()
        yield started


@pytest.fixture(scope="module")
def missing(cluster: Cluster, operator: OperatorProcess) -> str:
    """What an endpoint says before the kind is installed."""
    apply(cluster, NAMESPACE, engine=SPREAD, replicas=1)
    eventually(lambda: reason(cluster, NAMESPACE) == "LeaderWorkerSetMissing")
    assert get(cluster, "service", NAME, "-n", NAMESPACE)
    return str(condition(cluster, NAMESPACE, "Ready")["message"])


@pytest.fixture(scope="module")
def groups(cluster: Cluster, missing: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with running_controllers(cluster, tmp_path_factory.mktemp("lws")) as log:
        yield
        assert "panic" not in log.read_text()


def members(cluster: Cluster, component: str = "engine") -> dict[str, dict[str, Any]]:
    """Live pods by name."""
    selector = f"llmendpoint.dev/endpoint={NAME},llmendpoint.dev/component={component}"
    pods = get(cluster, "pods", "-n", NAMESPACE, "-l", selector)["items"]
    return {pod["metadata"]["name"]: pod for pod in pods if "deletionTimestamp" not in pod["metadata"]}


def revisions(cluster: Cluster) -> set[str]:
    pods = [*members(cluster).values(), *members(cluster, "engine-worker").values()]
    return {pod["metadata"]["labels"]["leaderworkerset.sigs.k8s.io/template-revision-hash"] for pod in pods}


def serves(cluster: Cluster) -> bool:
    """Whether the one group is ready and the Service leads to its leader, and not to one of before."""
    leader = members(cluster)[f"{ENGINE}-0"]
    return ready(cluster, NAMESPACE, 1) and behind(cluster, NAMESPACE, NAME) == {leader["status"]["podIP"]}


def scale(cluster: Cluster, replicas: int) -> None:
    cluster.kubectl("scale", "llmendpoint", NAME, "-n", NAMESPACE, f"--replicas={replicas}")
    eventually(lambda: ready(cluster, NAMESPACE, replicas), LONG)


def test_an_endpoint_says_what_to_install_and_goes_on_by_itself(cluster: Cluster, missing: str, groups: None) -> None:
    assert "install it (https://lws.sigs.k8s.io/docs/installation/)" in missing
    eventually(lambda: ready(cluster, NAMESPACE, 1), LONG)
    assert members(cluster).keys() == {f"{ENGINE}-0"}
    assert members(cluster, "engine-worker").keys() == {f"{ENGINE}-0-1"}


def test_the_leader_serves_and_each_pod_knows_its_place(cluster: Cluster, groups: None) -> None:
    eventually(lambda: ready(cluster, NAMESPACE, 1), LONG)
    leader, worker = members(cluster)[f"{ENGINE}-0"], members(cluster, "engine-worker")[f"{ENGINE}-0-1"]
    eventually(lambda: behind(cluster, NAMESPACE, NAME) == {leader["status"]["podIP"]})
    for pod, rank in ((leader, "0"), (worker, "1")):
        (engine,) = pod["spec"]["containers"]
        given = {entry["name"]: entry.get("value") for entry in engine["env"]}
        assert (given["LWS_WORKER_INDEX"], given["LWS_GROUP_SIZE"]) == (rank, "2")
        assert given["LWS_LEADER_ADDRESS"] == f"{ENGINE}-0.{ENGINE}-0.{NAMESPACE}"
        assert "--node-rank=$(LWS_WORKER_INDEX)" in engine["args"]
    door = get(cluster, "service", f"{ENGINE}-0", "-n", NAMESPACE)["spec"]
    assert (door["clusterIP"], door["publishNotReadyAddresses"]) == ("None", True)
    assert get(cluster, "service", ENGINE, "-n", NAMESPACE)["spec"]["clusterIP"] != "None"


def test_scaling_counts_groups_and_takes_the_last_one(cluster: Cluster, groups: None) -> None:
    scale(cluster, 3)
    assert members(cluster, "engine-worker").keys() == {f"{ENGINE}-{group}-1" for group in range(3)}
    eventually(lambda: status(cluster, NAMESPACE)["usage"]["gpus"] == 24)
    owners = get(cluster, LEADER_WORKER_SETS, ENGINE, "-n", NAMESPACE, "--show-managed-fields")["metadata"]
    (scaler,) = [entry for entry in owners["managedFields"] if entry["manager"] == "llmendpoint-scaler"]
    assert scaler["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    scale(cluster, 1)
    eventually(lambda: members(cluster, "engine-worker").keys() == {f"{ENGINE}-0-1"}, LONG)
    assert members(cluster).keys() == {f"{ENGINE}-0"}


def test_a_group_restarts_as_one(cluster: Cluster, groups: None) -> None:
    eventually(lambda: ready(cluster, NAMESPACE, 1), LONG)
    before = members(cluster)[f"{ENGINE}-0"]["metadata"]["uid"]
    worker = members(cluster, "engine-worker")[f"{ENGINE}-0-1"]
    (container,) = worker["status"]["containerStatuses"]
    ended = {"exitCode": 1, "message": "NCCL error", "reason": "Error"}
    patch = {"status": {"containerStatuses": [{**container, "restartCount": 1, "lastState": {"terminated": ended}}]}}
    cluster.kubectl(
        "patch",
        "pod",
        f"{ENGINE}-0-1",
        "-n",
        NAMESPACE,
        "--subresource=status",
        "--type=merge",
        "-p",
        json.dumps(patch),
    )
    eventually(lambda: members(cluster)[f"{ENGINE}-0"]["metadata"]["uid"] != before, LONG)
    eventually(
        lambda: members(cluster, "engine-worker")[f"{ENGINE}-0-1"]["metadata"]["uid"] != worker["metadata"]["uid"], LONG
    )
    eventually(lambda: serves(cluster), LONG)


def test_a_new_revision_starts_before_an_old_one_goes(cluster: Cluster, groups: None) -> None:
    eventually(lambda: serves(cluster), LONG)
    before = revisions(cluster)
    apply(cluster, NAMESPACE, engine={**SPREAD, "args": ["--max-num-seqs=8"]})
    eventually(lambda: reason(cluster, NAMESPACE) == "RollingOut")
    served = []

    def is_done() -> bool:
        served.append(bool(behind(cluster, NAMESPACE, NAME)))
        return ready(cluster, NAMESPACE, 1) and not revisions(cluster) & before

    eventually(is_done, LONG)
    assert all(served)
    assert len(revisions(cluster)) == 1


def test_one_node_and_several_hand_over_without_a_gap(cluster: Cluster, groups: None) -> None:
    eventually(lambda: serves(cluster), LONG)
    for engine, kind, gone in ((ALONE, "deployment", LEADER_WORKER_SETS), (SPREAD, LEADER_WORKER_SETS, "deployment")):
        apply(cluster, NAMESPACE, engine=engine)
        served = []

        def is_done(kind: str = kind, gone: str = gone, served: list[bool] = served) -> bool:
            served.append(bool(behind(cluster, NAMESPACE, NAME)))
            there, before = (get(cluster, of, ENGINE, "-n", NAMESPACE) for of in (kind, gone))
            return bool(there) and not before and ready(cluster, NAMESPACE, 1)

        eventually(is_done, LONG)
        assert all(served)


def test_a_set_that_is_edited_is_put_right(cluster: Cluster, groups: None) -> None:
    eventually(lambda: ready(cluster, NAMESPACE, 1), LONG)
    patch = json.dumps({"spec": {"startupPolicy": "LeaderReady"}})
    cluster.kubectl("patch", LEADER_WORKER_SETS, ENGINE, "-n", NAMESPACE, "--type=merge", "-p", patch)
    found = lambda: get(cluster, LEADER_WORKER_SETS, ENGINE, "-n", NAMESPACE)["spec"]["startupPolicy"]  # noqa: E731
    eventually(lambda: found() == "LeaderCreated")


def test_a_worker_that_no_node_takes_is_named(cluster: Cluster, groups: None) -> None:
    apply(cluster, NAMESPACE, engine={**SPREAD, "resources": {"limits": {"nvidia.com/gpu": 9}}, "rollout": "Recreate"})

    def is_named() -> bool:
        """Between two tries of LeaderWorkerSet its pods do not exist, and another word is right."""
        said = condition(cluster, NAMESPACE, "Ready")
        return said["reason"] == "Unschedulable" and "engine.resources" in said["message"]

    eventually(is_named, LONG)
