"""Schedules, GPU-hours and quotas on a real API server."""

import time
from typing import Any

import pytest

from localcluster.cluster import Cluster
from support.endpoints import apply, condition, endpoint, is_unread, ready, reason, replicas, status
from support.kube import eventually

pytestmark = pytest.mark.apiserver
ALWAYS = {"name": "launch", "start": "* * * * *", "durationSeconds": 3600, "timeZone": "Europe/Berlin"}


def test_a_schedule_sets_the_bounds_and_is_named(apiserver: Cluster, namespace: str) -> None:
    apply(
        apiserver, namespace, scaling={"maxReplicas": 2, "schedules": [{**ALWAYS, "minReplicas": 3, "maxReplicas": 3}]}
    )
    eventually(lambda: replicas(apiserver, namespace) == 3)
    sentence = eventually(lambda: status(apiserver, namespace)["scaling"]["history"])[0]["sentence"]
    assert 'schedule "launch" holds minReplicas 3 until ' in sentence
    apply(apiserver, namespace, scaling={"maxReplicas": 2})
    eventually(lambda: replicas(apiserver, namespace) == 2)


def test_a_time_zone_that_nobody_knows_is_told(apiserver: Cluster, namespace: str) -> None:
    apply(
        apiserver,
        namespace,
        scaling={"maxReplicas": 2, "schedules": [{**ALWAYS, "timeZone": "Mars/Phobos", "minReplicas": 2}]},
    )
    eventually(lambda: reason(apiserver, namespace) == "InvalidSpec")
    assert "timeZone Mars/Phobos is not known" in condition(apiserver, namespace, "Ready")["message"]


def test_a_dry_run_counts_what_it_would_have_used_without_a_write_of_its_own(
    apiserver: Cluster, namespace: str
) -> None:
    def usage() -> dict[str, Any]:
        found: dict[str, Any] = status(apiserver, namespace)["usage"]
        return found

    dry = {"mode": "DryRun", "maxReplicas": 1, "pricePerGPUHour": 2.5}
    began = time.monotonic()
    apply(apiserver, namespace, replicas=3, scaling=dry)
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    eventually(lambda: (usage()["gpus"], usage()["dryRun"]["gpus"]) == (3, 1))
    eventually(lambda: is_unread(apiserver, namespace, 3))
    time.sleep(4)
    before = endpoint(apiserver, namespace)["metadata"]["resourceVersion"]
    first = usage()
    time.sleep(6)
    assert endpoint(apiserver, namespace)["metadata"]["resourceVersion"] == before
    apply(apiserver, namespace, replicas=3, scaling={**dry, "minReplicas": 2, "maxReplicas": 2})
    eventually(lambda: usage()["dryRun"]["gpus"] == 2)
    now = usage()
    seconds = 3600 * (now["gpuHours"] - first["gpuHours"]) / 3
    assert 6 <= seconds <= time.monotonic() - began + 1
    assert now["cost"] == pytest.approx(2.5 * now["gpuHours"], abs=1e-3)
    trial = now["dryRun"]
    assert trial["actualGPUHours"] - trial["gpuHours"] >= 2 * 6 / 3600 - 1e-4
    assert trial["savedCost"] == pytest.approx(trial["actualCost"] - trial["cost"], abs=2e-4)
    message = condition(apiserver, namespace, "ScalingActive")["message"]
    assert "fewer than ran, at a cost of" in message
    assert message.count(trial["since"]) == 1


def test_what_a_quota_refuses_is_not_ordered(apiserver: Cluster, namespace: str) -> None:
    apiserver.kubectl("create", "quota", "gpus", "-n", namespace, "--hard=requests.nvidia.com/gpu=3")
    # No engine answers here, so the fallback is what wants more.
    apply(apiserver, namespace, scaling={"maxReplicas": 6, "fallback": {"afterSeconds": 30, "replicas": 6}})
    eventually(lambda: replicas(apiserver, namespace) == 3, 120)
    sentence = status(apiserver, namespace)["scaling"]["history"][0]["sentence"]
    assert "ResourceQuota gpus has 2 of 3 nvidia.com/gpu left, and a replica takes 1" in sentence
    eventually(lambda: ready(apiserver, namespace, 3))
    time.sleep(3)
    assert (replicas(apiserver, namespace), reason(apiserver, namespace)) == (3, "AllReplicasReady")
    decision = status(apiserver, namespace)["scaling"]["decision"]
    assert (decision["heldBy"], decision["clamps"][-1]["name"]) == ("Budget", "Budget")
    apiserver.kubectl(
        "patch",
        "quota",
        "gpus",
        "-n",
        namespace,
        "--type=merge",
        "-p",
        '{"spec":{"hard":{"requests.nvidia.com/gpu":"5"}}}',
    )
    eventually(lambda: replicas(apiserver, namespace) == 5)
