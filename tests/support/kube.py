"""Looking at a cluster from a test."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from localcluster.cluster import Cluster
from localcluster.errors import LocalClusterError

CONTROL_NUMBER = 9901
LONG_ENOUGH = 90.0
"""For what takes seconds, on a machine that is a few times slower than others."""


def eventually(check: Callable[[], Any], seconds: float = LONG_ENOUGH) -> Any:
    """The first truthy answer of ``check``; the last failure when there is none in time.

    An API server that did not answer one look in time is no failure yet.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            if found := check():
                return found
            failure = f"still {found!r}"
        except (AssertionError, LookupError, StopIteration, RuntimeError, LocalClusterError) as error:
            failure = repr(error)
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds} s: {failure}")
        time.sleep(0.2)


def get(cluster: Cluster, *what: str) -> dict[str, Any]:
    """An object, or a list of them, as the API server has it."""
    done = cluster.kubectl("get", *what, "-o", "json", "--ignore-not-found")
    found: dict[str, Any] = json.loads(done.stdout) if done.stdout.strip() else {}
    return found


def behind(cluster: Cluster, namespace: str, service: str) -> set[str]:
    """Addresses that a Service sends to."""
    slices = get(cluster, "endpointslices", "-n", namespace, "-l", f"kubernetes.io/service-name={service}")
    return {
        address
        for part in slices.get("items", [])
        for entry in part["endpoints"] or ()
        if entry["conditions"].get("ready")
        for address in entry["addresses"]
    }


def control_metric(cluster: Cluster, namespace: str, pod: str, series: str) -> float:
    """The value of a series at a pod's control port; 0 where there is none, or nobody answers."""
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}:{CONTROL_NUMBER}/proxy/metrics"
    lines = cluster.kubectl("get", "--raw", path, check=False).stdout.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{series} "))
