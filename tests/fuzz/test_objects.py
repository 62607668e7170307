"""Objects that nobody thought of: refused with a sentence or told of in a condition, and never a traceback."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fuzz.objects import Source
from fuzz.run import BATCH, Run
from localcluster.cluster import Cluster
from support.api import Api
from support.clusters import running_apiserver
from support.kube import eventually
from support.operators import OperatorProcess, started_operator

pytestmark = pytest.mark.apiserver
# The range of Services that kwokctl makes ends at the 254th.
SERVICES = """
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: {name: more}
spec: {cidrs: [10.96.0.0/16]}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_apiserver("fuzz", fake_nodes=3) as made:
        made.kubectl("apply", "-f", "-", stdin=SERVICES)
        yield made


def is_calm(operator: OperatorProcess) -> bool:
    return (
        operator.metric("llmendpoint_workqueue_depth") == 0
        and operator.metric("llmendpoint_reconcile_workers_active") == 0
    )


def assert_no_bug(operator: OperatorProcess) -> None:
    assert "Traceback" not in operator.log.read_text()
    for series in (
        'llmendpoint_reconcile_total{result="bug"}',
        'llmendpoint_resync_total{result="bug"}',
        "llmendpoint_tick_errors_total",
    ):
        assert operator.metric(series) == 0, series


async def test_every_object_is_refused_with_a_sentence_or_ends_in_a_condition(
    cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    count, seed = (int(request.config.getoption(name)) for name in ("fuzz_objects", "fuzz_seed"))
    batches = max(count // BATCH, 3)
    resident: list[float] = []
    began = time.monotonic()
    async with Api.connected(cluster.kubeconfig, tmp_path) as api:
        run = Run(api, Source(seed), seed)
        last = ""
        with started_operator(cluster.kubeconfig, tmp_path / "operator.log") as operator:
            operator.await_ready()
            for _ in range(batches):
                if last:
                    await run.clear(last)
                last = await run.batch(BATCH)
                resident.append(operator.metric("process_resident_memory_bytes") / 2**20)
                print(f"{time.monotonic() - began:6.0f} s, {resident[-1]:4.0f} MiB: {run.tally}", flush=True)
                assert_no_bug(operator)
                assert not run.tally.faults, run.tally.faults[:5]
            eventually(lambda: is_calm(operator), 60)
        # What it has written, and what others wrote over it, is what the next one starts from.
        with started_operator(cluster.kubeconfig, tmp_path / "next.log") as operator:
            operator.await_ready()
            await run.settled(last)
            eventually(lambda: is_calm(operator), 60)
            assert_no_bug(operator)
    assert not run.tally.faults, run.tally.faults[:5]
    assert run.tally.refused.total() > 0.1 * run.tally.sent
    assert run.tally.ended.total() > 0.1 * run.tally.sent
    third, end = resident[batches // 3], resident[-1]
    assert end < 1.15 * third + 16, f"resident memory grew from {third:.0f} to {end:.0f} MiB"
