"""Batches on a real API server with a real Job controller; on its fake nodes a worker is done as soon as it runs."""

import asyncio
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from llmendpoint.cluster.client import Cluster as Api
from llmendpoint.cluster.events import Recorder
from llmendpoint.cluster.fence import Fence
from llmendpoint.manifests import ManifestDefaults
from llmendpoint.metrics.exporter import Exporter
from llmendpoint.runtime.batches import Batches
from llmendpoint.runtime.clock import Clock
from llmendpoint.runtime.store import Store
from localcluster import cluster as local
from localcluster.cluster import Cluster
from localcluster.paths import ROOT
from support import batch_objects, endpoints
from support.batch_objects import NAME, condition, state, status
from support.kube import eventually, get
from support.operators import started_operator

pytestmark = pytest.mark.apiserver
OWN: dict[str, Any] = {"model": {"source": "hf://acme/llama"}, "scaling": {"maxReplicas": 1, "pricePerGPUHour": 3600}}


def events(cluster: Cluster, namespace: str) -> set[tuple[str, str]]:
    """(type, reason) of what was said of the batch."""
    items = get(cluster, "events.events.k8s.io", "-n", namespace)["items"]
    return {(item["type"], item["reason"]) for item in items if item["regarding"]["kind"] == "LLMBatch"}


def job(cluster: Cluster, namespace: str) -> dict[str, Any]:
    return get(cluster, "job", NAME, "-n", namespace)


def pods(cluster: Cluster, namespace: str) -> list[str]:
    items = get(cluster, "pods", "-n", namespace, "-l", f"llmendpoint.dev/batch={NAME}").get("items", [])
    return sorted(item["metadata"]["name"] for item in items)


def end(cluster: Cluster, namespace: str, pod: str, *, code: int, said: str) -> None:
    """Have the worker in a pod that waits for a volume end, as a kubelet would tell it."""
    # Without a time the Job's pause before the next worker counts from when the pod was made.
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    reason = "Completed" if code == 0 else "Error"
    terminated = {"exitCode": code, "message": said, "reason": reason, "finishedAt": at}
    ended = {"name": "batch", "image": "i", "imageID": "i", "ready": False, "restartCount": 0}
    status = {
        "phase": "Succeeded" if code == 0 else "Failed",
        "containerStatuses": [{**ended, "state": {"terminated": terminated}}],
    }
    patch = json.dumps({"status": status})
    cluster.kubectl("patch", "pod", pod, "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)


def test_a_batch_waits_for_its_endpoint_and_is_done_by_it(apiserver: Cluster, namespace: str) -> None:
    apiserver.control_plane.apply(batch_objects.volumes(namespace))
    batch_objects.apply(apiserver, namespace)
    eventually(lambda: state(apiserver, namespace) == "EndpointNotFound")
    assert job(apiserver, namespace) == {}
    endpoints.apply(apiserver, namespace)
    eventually(lambda: condition(apiserver, namespace, "Complete")["status"] == "True")
    seen = status(apiserver, namespace)
    assert seen["observedGeneration"] == 1
    assert seen["endpoint"] == "llama"
    assert [shard["done"] for shard in seen["shards"]] == [True] * 4
    assert seen["completionTime"] >= seen["startTime"]
    assert condition(apiserver, namespace, "Failed")["status"] == "False"
    eventually(lambda: ("Normal", "AllLinesAnswered") in events(apiserver, namespace))
    assert ("Warning", "EndpointNotFound") in events(apiserver, namespace)
    row = apiserver.kubectl("get", "llmb", "-n", namespace).stdout.splitlines()
    assert row[0].split() == [
        "NAME", "ENDPOINT", "STATE", "LINES", "COMPLETED", "FAILED", "PERCENT", "ETA", "AGE",
    ]  # fmt: skip
    assert row[1].split()[:3] == [NAME, "llama", "AllLinesAnswered"]


def test_a_job_that_is_there_for_something_else_is_left_as_it_is(apiserver: Cluster, namespace: str) -> None:
    apiserver.kubectl("create", "job", NAME, "-n", namespace, "--image=example.test/x:1")
    before = job(apiserver, namespace)["metadata"]["uid"]
    endpoints.apply(apiserver, namespace)
    batch_objects.apply(apiserver, namespace)
    eventually(lambda: state(apiserver, namespace) == "NotOwned")
    assert job(apiserver, namespace)["metadata"]["uid"] == before


async def test_an_endpoint_that_no_watch_has_told_of_yet_is_not_taken_over(apiserver: Cluster, namespace: str) -> None:
    endpoints.apply(apiserver, namespace, name=NAME)
    before = get(apiserver, "llmendpoint", NAME, "-n", namespace)
    batch_objects.apply(apiserver, namespace, endpoint=OWN)
    exporter = Exporter()
    async with (
        Api.connect(Fence.without_election(), str(apiserver.kubeconfig)) as api,
        aiohttp.ClientSession() as session,
    ):
        just_started = Batches(
            cluster=api, session=session, store=Store(), recorder=Recorder(api, instance="test"), exporter=exporter,
            defaults=ManifestDefaults(), answer_seconds=1.0, gpu_hour_price=None, clock=Clock(),
        )  # fmt: skip
        just_started.changed(get(apiserver, "llmbatch", NAME, "-n", namespace))
        working = asyncio.create_task(just_started.run())
        while not exporter.registry.get_sample_value("llmendpoint_reconcile_total", {"result": "ok"}):
            await asyncio.sleep(0.05)
        working.cancel()
    after = get(apiserver, "llmendpoint", NAME, "-n", namespace)
    assert (after["metadata"].get("ownerReferences"), after["spec"]) == (None, before["spec"])


def test_own_engines_come_with_the_batch_and_go_with_its_last_line(apiserver: Cluster, namespace: str) -> None:
    batch_objects.apply(apiserver, namespace, endpoint=OWN)
    own = eventually(lambda: get(apiserver, "llmendpoint", NAME, "-n", namespace))
    assert own["metadata"]["ownerReferences"][0]["kind"] == "LLMBatch"
    eventually(lambda: state(apiserver, namespace) == "VolumePending")
    assert "prompts" in condition(apiserver, namespace, "Progressing")["message"]
    apiserver.control_plane.apply(batch_objects.volumes(namespace))
    eventually(lambda: condition(apiserver, namespace, "Complete")["status"] == "True")
    usage = status(apiserver, namespace)["usage"]
    assert usage["gpuHours"] > 0
    assert usage["cost"] == pytest.approx(3600 * usage["gpuHours"], abs=1)  # hours are rounded
    eventually(lambda: not get(apiserver, "llmendpoint", NAME, "-n", namespace))
    eventually(lambda: not get(apiserver, "deployments", "-n", namespace))


def test_a_batch_that_is_suspended_holds_nothing_and_goes_on(apiserver: Cluster, namespace: str) -> None:
    batch_objects.apply(apiserver, namespace, endpoint=OWN)
    eventually(lambda: state(apiserver, namespace) == "VolumePending")
    batch_objects.apply(apiserver, namespace, endpoint=OWN, suspend=True)
    eventually(lambda: condition(apiserver, namespace, "Suspended")["status"] == "True")
    eventually(lambda: not get(apiserver, "llmendpoint", NAME, "-n", namespace))
    eventually(lambda: pods(apiserver, namespace) == [])
    apiserver.control_plane.apply(batch_objects.volumes(namespace))
    batch_objects.apply(apiserver, namespace, endpoint=OWN)
    eventually(lambda: condition(apiserver, namespace, "Complete")["status"] == "True")
    assert condition(apiserver, namespace, "Suspended")["status"] == "False"


def test_bad_input_ends_a_batch_at_once_and_is_told_in_the_worker_s_words(apiserver: Cluster, namespace: str) -> None:
    endpoints.apply(apiserver, namespace)
    batch_objects.apply(apiserver, namespace, shards=3)
    first, *_ = eventually(lambda: len(made := pods(apiserver, namespace)) == 3 and made)
    end(apiserver, namespace, first, code=2, said="march.jsonl does not exist: correct input.uri")
    eventually(lambda: condition(apiserver, namespace, "Failed")["status"] == "True")
    failed = condition(apiserver, namespace, "Failed")
    assert (failed["reason"], failed["message"]) == (
        "Refused",
        "march.jsonl does not exist: correct input.uri",
    )
    eventually(lambda: ("Warning", "Refused") in events(apiserver, namespace))
    eventually(lambda: len(pods(apiserver, namespace)) == 1)  # the others were stopped


def test_a_worker_that_fails_is_followed_by_another_which_ends_with_its_figures(
    apiserver: Cluster, namespace: str
) -> None:
    endpoints.apply(apiserver, namespace)
    batch_objects.apply(apiserver, namespace, shards=1)
    (first,) = eventually(lambda: pods(apiserver, namespace))
    end(apiserver, namespace, first, code=1, said="the bucket can not be reached")

    def is_told() -> bool:
        told = condition(apiserver, namespace, "Progressing")
        return told["reason"] == "WorkerFailed" and "the bucket can not be reached" in told["message"]

    eventually(is_told)
    second = eventually(lambda: next(iter(set(pods(apiserver, namespace)) - {first}), None))
    figures = {"lines": 10, "completed": 9, "failed": 1, "promptTokens": 70, "completionTokens": 40, "linesResumed": 4}
    end(apiserver, namespace, second, code=0, said=json.dumps(figures))
    eventually(lambda: condition(apiserver, namespace, "Complete")["reason"] == "SomeLinesFailed")
    seen = status(apiserver, namespace)
    assert figures.items() <= seen.items()
    assert seen["percent"] == 100
    assert "pvc://answers/march/errors.jsonl" in condition(apiserver, namespace, "Complete")["message"]


def test_a_batch_that_is_deleted_takes_all_with_it(apiserver: Cluster, namespace: str) -> None:
    batch_objects.apply(apiserver, namespace, endpoint=OWN)
    eventually(lambda: job(apiserver, namespace))
    apiserver.kubectl("delete", "llmbatch", NAME, "-n", namespace)
    kinds = "jobs,llmendpoints,deployments,services"
    eventually(lambda: not get(apiserver, kinds, "-n", namespace))


def test_a_batch_removes_itself_when_its_time_has_come(apiserver: Cluster, namespace: str) -> None:
    apiserver.control_plane.apply(batch_objects.volumes(namespace))
    endpoints.apply(apiserver, namespace)
    batch_objects.apply(apiserver, namespace, ttlSecondsAfterFinished=1)
    eventually(lambda: not get(apiserver, "llmbatch", NAME, "-n", namespace))
    eventually(lambda: not job(apiserver, namespace))
    assert get(apiserver, "llmendpoint", "llama", "-n", namespace)


@pytest.fixture
def older(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster whose administrator installs CRDs by hand and has not heard of batches, with an operator."""
    made = local.up(f"older-{os.getpid()}", node=False, fake_nodes=1)
    try:
        made.kubectl("apply", "--server-side", "-f", str(ROOT / "crds" / "llmendpoints.yaml"))
        with started_operator(made.kubeconfig, tmp_path / "operator.log") as operator:
            operator.await_ready()
            yield made
    finally:
        made.down()


def test_endpoints_are_looked_after_where_the_kind_of_batches_is_not_installed_yet(older: Cluster) -> None:
    endpoints.apply(older, "default")
    eventually(lambda: endpoints.reason(older, "default") == "AllReplicasReady")
    older.install_crd()
    batch_objects.apply(older, "default")
    eventually(lambda: state(older, "default") == "VolumePending")
