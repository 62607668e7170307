"""Traces of a real operator, as a collector gets them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from localcluster.cluster import Cluster
from support.clusters import running_apiserver
from support.collector import attributes, running_collector
from support.endpoints import NAME, apply, reason
from support.kube import eventually
from support.operators import started_operator

pytestmark = pytest.mark.apiserver


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """One of its own: the operator of the other tests would work on the same objects."""
    with running_apiserver("traces", fake_nodes=1) as made:
        yield made


def test_reconciles_and_ticks_are_traces_with_their_requests(cluster: Cluster, tmp_path: Path) -> None:
    with (
        running_collector() as collector,
        started_operator(
            cluster.kubeconfig,
            tmp_path / "operator.log",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_BSP_SCHEDULE_DELAY="200",
        ) as operator,
    ):
        operator.await_ready()
        apply(cluster, "default")
        eventually(lambda: reason(cluster, "default") == "AllReplicasReady")
        first = eventually(lambda: next(iter(collector.named("reconcile")), None))
        assert attributes(first) == {"k8s.namespace.name": "default", "llmendpoint.name": NAME}

        def the_engine_is_applied_in_it() -> bool:
            asked = [attributes(request) for request in collector.below(first)]
            assert {request["http.method"] for request in asked} >= {"PATCH"}
            return any(str(request["http.url"]).partition("?")[0].endswith(f"/{NAME}-engine") for request in asked)

        eventually(the_engine_is_applied_in_it)

        def an_engine_is_read_in_a_tick() -> bool:
            ticks = {tick.span_id for tick in collector.named("tick")}
            return any(span.parent_span_id in ticks and collector.below(span) for span in collector.named("read"))

        eventually(an_engine_is_read_in_a_tick)
    assert collector.services == {"llmendpoint-operator"}


def test_a_collector_that_is_away_is_told_of_in_a_line_and_holds_nothing_up(cluster: Cluster, tmp_path: Path) -> None:
    log = tmp_path / "operator.log"
    with started_operator(
        cluster.kubeconfig, log, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", OTEL_BSP_SCHEDULE_DELAY="200"
    ) as operator:
        operator.await_ready()
        apply(cluster, "default")
        eventually(lambda: reason(cluster, "default") == "AllReplicasReady")
        eventually(lambda: "127.0.0.1" in log.read_text())
