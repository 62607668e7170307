"""The metrics and the log of a running operator."""

import json
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from llmendpoint.metrics import families
from llmendpoint.settings import Settings
from localcluster.cluster import Cluster
from support.endpoints import apply, reason, replicas
from support.kube import eventually
from support.operators import OperatorProcess

pytestmark = pytest.mark.apiserver


def values(operator: OperatorProcess) -> dict[str, dict[tuple[str, ...], float]]:
    """Metric -> values of its labels, in the order of their names -> value."""
    text = httpx.get(f"{operator.url}/metrics", timeout=30).text
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for metric in text_string_to_metric_families(text):
        for sample in metric.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def test_an_endpoint_is_in_the_metrics_while_it_exists(
    apiserver: Cluster, namespace: str, operator_process: OperatorProcess
) -> None:
    apply(apiserver, namespace, scaling={"minReplicas": 2, "maxReplicas": 3})
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    key = ("llama", namespace)

    def is_told() -> bool:
        now = values(operator_process)
        return now["llmendpoint_replicas"].get((*key, "ready")) == 2

    eventually(is_told)
    now = values(operator_process)
    assert [now[f"llmendpoint_{bound}_replicas"][key] for bound in ("min", "desired", "max")] == [2, 2, 3]
    assert now["llmendpoint_condition"]["llama", namespace, "AllReplicasReady", "Ready"] == 1
    assert now["llmendpoint_unread_replicas"][key] == 2, "fake nodes run no engines"
    apiserver.kubectl("delete", "llmendpoint", "llama", "-n", namespace)
    eventually(lambda: namespace not in httpx.get(f"{operator_process.url}/metrics", timeout=30).text)


def test_what_the_operator_does_is_counted(
    apiserver: Cluster, namespace: str, operator_process: OperatorProcess
) -> None:
    before = values(operator_process)
    apply(apiserver, namespace)
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    now = values(operator_process)
    for counter, labels in (
        ("llmendpoint_reconcile_total", ("ok",)),
        ("llmendpoint_reconcile_duration_seconds_count", ()),
        ("llmendpoint_workqueue_adds_total", ()),
        ("llmendpoint_workqueue_queue_duration_seconds_count", ()),
        ("llmendpoint_api_requests_total", ("200", "PATCH")),
        ("llmendpoint_api_request_duration_seconds_count", ("PATCH",)),
        ("llmendpoint_writes_total", ("Service", "apply")),
    ):
        assert now[counter][labels] > before.get(counter, {}).get(labels, 0), counter
    assert now["llmendpoint_reconcile_workers"][()] == Settings().workers
    assert now["llmendpoint_reconcile_total"]["bug",] == 0
    known = {family.name for family in (*families.OPERATOR, *families.SCALER)}
    assert known <= {name.removesuffix("_count") for name in now}


def test_every_line_of_the_log_is_json_and_a_change_is_one_line(
    apiserver: Cluster, namespace: str, operator: Path
) -> None:
    apply(apiserver, namespace, scaling={"minReplicas": 2, "maxReplicas": 3})
    eventually(lambda: replicas(apiserver, namespace) == 2)
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    written = operator.read_text().rpartition("\n")[0]  # the last line may be being written
    lines = [json.loads(line) for line in written.splitlines()]
    told = [line for line in lines if line.get("namespace") == namespace and line["event"] in {"decided", "scaled"}]
    changes = [(line["event"], line["from"], line["to"]) for line in told if line["from"] != line["to"]]
    assert len(changes) == len(set(changes)), told
    assert all(line["sentence"] for line in told)
