"""The operator scales by what a real Prometheus server says, and says so when that is nothing."""

import time
from pathlib import Path

import pytest

from localcluster.cluster import Cluster
from support.endpoints import apply, condition, endpoint, is_unread, reason, replicas, status
from support.kube import eventually, get
from support.prometheus import Prometheus, running_simulator

pytestmark = pytest.mark.apiserver


def test_a_busy_engine_scales_out_through_prometheus(
    apiserver: Cluster, namespace: str, prometheus: Prometheus, tmp_path: Path
) -> None:
    metrics = {"source": "Prometheus", "prometheus": {"url": prometheus.url}}
    apply(apiserver, namespace, engine={"args": ["--max-num-seqs=4"]}, scaling={"maxReplicas": 2, "metrics": metrics})
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    eventually(lambda: "no target" in condition(apiserver, namespace, "MetricsAvailable")["message"])
    (pod,) = get(apiserver, "pods", "-n", namespace)["items"]
    with running_simulator(tmp_path, "vllm", "serve", "m", "--max-num-seqs=4") as engine:
        prometheus.scrape({(namespace, pod["metadata"]["name"]): engine.address})
        eventually(lambda: condition(apiserver, namespace, "MetricsAvailable")["status"] == "True")
        assert replicas(apiserver, namespace) == 1
        with engine.busy(8):
            eventually(lambda: replicas(apiserver, namespace) == 2)
        # The new pod is not scraped.
        eventually(lambda: condition(apiserver, namespace, "MetricsAvailable")["reason"] == "MetricsPartial")
    assert "scale out 1 -> 2" in status(apiserver, namespace)["scaling"]["history"][0]["sentence"]


def test_a_prometheus_that_is_gone_holds_the_size_and_writes_nothing_more(apiserver: Cluster, namespace: str) -> None:
    metrics = {"source": "Prometheus", "prometheus": {"url": "http://127.0.0.1:1"}}
    promql = {"type": "PromQL", "value": 1, "query": "up"}
    apply(
        apiserver,
        namespace,
        scaling={
            "minReplicas": 2,
            "maxReplicas": 3,
            "policy": "TargetTracking",
            "targets": [promql],
            "metrics": metrics,
        },
    )
    eventually(lambda: condition(apiserver, namespace, "MetricsAvailable")["reason"] == "MetricsUnknown")
    assert "can not be reached" in condition(apiserver, namespace, "MetricsAvailable")["message"]
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    eventually(lambda: is_unread(apiserver, namespace, 2))
    time.sleep(3)
    before = endpoint(apiserver, namespace)["metadata"]["resourceVersion"]
    time.sleep(5)  # five ticks
    assert endpoint(apiserver, namespace)["metadata"]["resourceVersion"] == before
    assert replicas(apiserver, namespace) == 2
