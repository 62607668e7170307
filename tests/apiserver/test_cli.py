"""The command line against a real API server and a real operator, also as kubectl's plugin."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcluster import cluster as local
from localcluster import product, tools
from localcluster.cluster import Cluster
from localcluster.commands import run
from support.endpoints import apply, condition, reason, status
from support.kube import eventually, get
from support.operators import OperatorProcess
from support.prometheus import Prometheus, running_simulator

pytestmark = pytest.mark.apiserver
SCRIPTS = Path(sys.executable).parent
SYSTEM = "llmendpoint-system"
Done = subprocess.CompletedProcess[str]


def cli(cluster: Cluster, *arguments: str, plugin: bool = False, kubeconfig: Path | None = None) -> Done:
    """Run the command at a terminal that is 80 columns wide; as a plugin, kubectl finds it."""
    path = f"{SCRIPTS}{os.pathsep}{tools.search_path()}"
    command = [tools.program("kubectl"), "llmendpoint"] if plugin else [str(SCRIPTS / "llmendpoint")]
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(kubeconfig or cluster.kubeconfig), "COLUMNS": "80"}
    done = subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert "Traceback" not in done.stderr
    return done


def words(done: Done) -> str:
    """What was printed, wherever lines were folded."""
    return " ".join(done.stdout.split())


def test_a_decision_on_real_readings_can_be_followed(
    apiserver: Cluster, namespace: str, operator_process: OperatorProcess, prometheus: Prometheus, tmp_path: Path
) -> None:
    metrics = {"source": "Prometheus", "prometheus": {"url": prometheus.url}}
    apply(apiserver, namespace, engine={"args": ["--max-num-seqs=4"]}, scaling={"maxReplicas": 2, "metrics": metrics})
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    (pod,) = get(apiserver, "pods", "-n", namespace)["items"]
    with running_simulator(tmp_path, "vllm", "serve", "m", "--max-num-seqs=4") as engine:
        prometheus.scrape({(namespace, pod["metadata"]["name"]): engine.address})
        eventually(lambda: condition(apiserver, namespace, "MetricsAvailable")["status"] == "True")
        with engine.busy(8):
            eventually(lambda: status(apiserver, namespace)["scaling"].get("history"))
            # The next decision comes within a second, and one and the same is explained twice.
            with operator_process.frozen():
                change = status(apiserver, namespace)["scaling"]["history"][0]
                explained = cli(apiserver, "explain", "llama", "-n", namespace)
                data = json.loads(cli(apiserver, "explain", "llama", "-n", namespace, "-o", "json").stdout)
    assert explained.returncode == 0, explained.stderr
    assert max(map(len, explained.stdout.splitlines())) <= 80
    assert data["disagreements"] == []
    assert (data["policy"], data["sums"][-1]["name"]) == ("Demand", "Want")
    assert words(explained).endswith(" ".join(data["sentence"].split()))
    assert "✓ Every number agrees with what the operator recorded." in words(explained)
    history = cli(apiserver, "history", "llama", "-n", namespace)
    assert "1 -> 2" in history.stdout
    assert " ago" in history.stdout
    assert change["sentence"].split(";")[0].split()[0] in history.stdout


def test_what_nobody_can_read_is_explained_too(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, scaling={"maxReplicas": 2})
    assert "llama" in cli(apiserver, "status", "-n", namespace).stdout
    eventually(lambda: status(apiserver, namespace)["scaling"]["decision"]["reason"] == "MetricsUnknown")
    explained = cli(apiserver, "explain", "llama", "-n", namespace)
    assert "no engine was read for it, so there is no sum" in words(explained)
    assert cli(apiserver, "history", "llama", "-n", namespace).stderr.startswith("The scaler has not changed the size")


def test_status_as_a_plugin_of_kubectl(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, replicas=2)
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    listed = cli(apiserver, "status", "-A", plugin=True)
    assert [namespace, "llama", "2/2", "✓", "Ready", "Off"] in [line.split()[:6] for line in listed.stdout.splitlines()]
    one = cli(apiserver, "status", "llama", "-n", namespace, plugin=True)
    assert (one.returncode, one.stderr) == (0, "")
    assert "2 ready, 0 starting, 2 wanted" in one.stdout
    assert f"http://llama.{namespace}.svc:80" in one.stdout
    facts = yaml.safe_load(cli(apiserver, "status", "llama", "-n", namespace, "-o", "yaml", plugin=True).stdout)
    assert facts["replicas"] == {"desired": 2, "ready": 2, "starting": 0}
    assert "has no spec.scaling, so nothing is decided" in cli(apiserver, "explain", "llama", "-n", namespace).stdout
    assert "Usage: kubectl llmendpoint status" in cli(apiserver, "status", "--help", plugin=True).stdout


def test_kubectl_completes_names_from_the_cluster(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, replicas=1)
    environment = {**os.environ, "KUBECONFIG": str(apiserver.kubeconfig)}
    for asked in (("lla",), ("",)):
        done = subprocess.run(
            [str(SCRIPTS / "kubectl_complete-llmendpoint"), "explain", "-n", namespace, *asked],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout == "llama\n:4\n"


def test_an_endpoint_that_is_not_there_comes_with_a_suggestion(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, replicas=1)
    for command in ("status", "explain", "history"):
        near = cli(apiserver, command, "lama", "-n", namespace)
        assert (near.returncode, near.stdout) == (1, "")
        assert near.stderr == f'there is no LLMEndpoint "lama" in namespace {namespace}; do you mean "llama"?\n'
        elsewhere = cli(apiserver, command, "llama", "-n", "default")
        assert elsewhere.returncode == 1
        assert "there is one in " in elsewhere.stderr
        assert namespace in elsewhere.stderr


def test_who_may_not_look_is_told_in_one_sentence(apiserver: Cluster, namespace: str, tmp_path: Path) -> None:
    apply(apiserver, namespace, replicas=1)
    eventually(lambda: get(apiserver, "serviceaccount", "default", "-n", namespace))
    token = apiserver.kubectl("create", "token", "default", "-n", namespace).stdout.strip()
    config = yaml.safe_load(apiserver.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    config["contexts"][0]["context"]["namespace"] = namespace
    theirs = tmp_path / "kubeconfig"
    theirs.write_text(yaml.safe_dump(config))
    for command in (("status",), ("status", "-A"), ("explain", "llama"), ("history", "llama")):
        done = cli(apiserver, *command, kubeconfig=theirs)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert done.stderr.startswith("not allowed: ")
    doctor = cli(apiserver, "doctor", kubeconfig=theirs)
    assert doctor.returncode == 0, doctor.stdout
    assert "you may not look" in words(doctor)
    assert doctor.stdout.startswith("ok    API server")
    # What no API server knows.
    config["users"][0]["user"] = {"token": base64.b64encode(b"nobody").decode()}
    theirs.write_text(yaml.safe_dump(config))
    assert "does not know you: log in again" in cli(apiserver, "status", kubeconfig=theirs).stderr


@pytest.fixture(scope="module")
def bare() -> Iterator[Cluster]:
    """A cluster that has nothing of ours."""
    made = local.up(f"bare-{os.getpid()}", node=False, fake_nodes=1)
    try:
        yield made
    finally:
        made.down()


def test_a_cluster_without_the_kind_is_told_what_to_install(bare: Cluster) -> None:
    for command in (("status",), ("status", "-A"), ("status", "llama"), ("explain", "llama"), ("history", "llama")):
        done = cli(bare, *command)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert done.stderr.startswith("this cluster has no kind LLMEndpoint: install the operator with helm install ")
    doctor = cli(bare, "doctor")
    assert doctor.returncode == 1
    levels = [line.split()[:2] for line in doctor.stdout.splitlines() if line[:4].strip()]
    assert levels[:4] == [["ok", "API"], ["fail", "CRD"], ["fail", "CRD"], ["fail", "Operator"]]


# The doctor.


def checks(cluster: Cluster, *arguments: str) -> dict[str, list[tuple[str, str]]]:
    """(level, what was found) by subject."""
    found: dict[str, list[tuple[str, str]]] = {}
    for check in json.loads(cli(cluster, "doctor", "-o", "json", *arguments).stdout):
        found.setdefault(check["subject"], []).append((check["level"], check["found"]))
    return found


@pytest.fixture
def installed(apiserver: Cluster) -> Iterator[None]:
    """What the chart installs, on nodes that only exist on paper."""
    tools.ensure(tools.HELM)
    command = [tools.program("helm"), "template", "llmendpoint-operator", str(product.CHART), "-n", SYSTEM]
    bodies = [body for body in yaml.safe_load_all(run(command).stdout) if body]
    manifests = yaml.safe_dump_all(body for body in bodies if body["kind"] != "CustomResourceDefinition")
    apiserver.kubectl("create", "namespace", SYSTEM, check=False)
    apiserver.kubectl("apply", "--server-side", "-f", "-", stdin=manifests)
    eventually(
        lambda: get(apiserver, "deployment", "llmendpoint-operator", "-n", SYSTEM)["status"]["readyReplicas"] == 2
    )
    yield
    apiserver.kubectl("delete", "-f", "-", stdin=manifests)


def lease(renewed: datetime) -> str:
    body: dict[str, Any] = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "llmendpoint-operator", "namespace": SYSTEM},
        "spec": {
            "holderIdentity": "operator-1", "leaseDurationSeconds": 15,
            "renewTime": renewed.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        },
    }  # fmt: skip
    return json.dumps(body)


@pytest.mark.usefixtures("installed")
def test_the_doctor_finds_an_installation_well_and_what_is_taken_from_it(apiserver: Cluster, namespace: str) -> None:
    found = checks(apiserver, "-n", namespace)
    assert [level for level, _ in found["API server"] + found["CRD"] + found["Operator"] + found["RBAC"]] == ["ok"] * 5
    assert "2 of 2 ready, watches all namespaces" in found["Operator"][0][1]
    assert found["Endpoints"] == [("ok", f"there are none in {namespace}")]
    assert found["GPUs"][0][0] == "ok"

    apiserver.kubectl("apply", "--server-side", "-f", "-", stdin=lease(datetime.now(UTC)))
    assert checks(apiserver)["Leader"][0][0] == "ok"
    apiserver.kubectl("apply", "--server-side", "-f", "-", stdin=lease(datetime(2025, 1, 1, tzinfo=UTC)))
    assert checks(apiserver)["Leader"][0][0] == "fail"
    apiserver.kubectl("delete", "lease", "llmendpoint-operator", "-n", SYSTEM)

    apiserver.kubectl(
        "patch", "clusterrole", "llmendpoint-operator", "--type=json", "-p", '[{"op": "remove", "path": "/rules/9"}]'
    )
    assert eventually(lambda: [entry for entry in checks(apiserver)["RBAC"] if entry[0] == "fail"])
    assert "delete leaderworkersets.leaderworkerset.x-k8s.io" in checks(apiserver)["RBAC"][0][1]


def test_the_doctor_names_each_trouble_and_fails(apiserver: Cluster, namespace: str) -> None:
    url = "http://prometheus.nowhere.svc:9090"
    metrics = {"source": "Prometheus", "prometheus": {"url": url}}
    apply(apiserver, namespace, scaling={"minReplicas": 1, "maxReplicas": 500, "metrics": metrics})
    eventually(lambda: condition(apiserver, namespace, "MetricsAvailable")["reason"] == "MetricsUnknown")
    found = checks(apiserver, "-n", namespace)
    assert found["Operator"][0][0] == "warn"  # it runs beside the cluster
    assert found["GPUs"][0][0] == "warn"
    assert "500 needed by endpoints at maxReplicas" in found["GPUs"][0][1]
    assert found["Metrics"] == [
        ("fail", f'{namespace}/llama: Prometheus at {url}: services "prometheus" not found')
    ]  # fmt: skip
    assert [level for level, words in found["Endpoints"] if "MetricsUnknown" in words] == ["fail"]
    assert cli(apiserver, "doctor", "-n", namespace).returncode == 1
