"""A real API server with its controllers, and fake nodes that let pods become ready."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from localcluster import cluster as local
from localcluster.cluster import Cluster

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def apiserver() -> Iterator[Cluster]:
    name = f"apitest-{os.getpid()}"
    made = local.up(name, node=False, fake_nodes=3)
    try:
        made.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        made.kubectl("wait", "--for=condition=Established", "crd/llmendpoints.llmendpoint.dev", "--timeout=30s")
        yield made
    finally:
        made.down()


@pytest.fixture(scope="session")
def operator(apiserver: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The operator as a process of its own; the value is its log."""
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    environment = {
        **os.environ,
        "KUBECONFIG": str(apiserver.kubeconfig),
        "PYTHONPATH": str(ROOT / "operator"),
        "LLMENDPOINT_HTTP_PORT": "18480",
        "LLMENDPOINT_TICK_SECONDS": "1",
        "LLMENDPOINT_RESYNC_SECONDS": "5",
    }
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "llmendpoint"], env=environment, stdout=out, stderr=out)
        try:
            yield log
        finally:
            process.terminate()
            assert process.wait(20) == 0, log.read_text()[-3000:]


def eventually(check: Callable[[], Any], seconds: float = 30.0) -> Any:
    """The first truthy answer of ``check``; the last failure when there is none in time."""
    end = time.monotonic() + seconds
    while True:
        try:
            if found := check():
                return found
            failure = f"still {found!r}"
        except (AssertionError, KeyError, StopIteration, RuntimeError) as error:
            failure = repr(error)
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds} s: {failure}")
        time.sleep(0.2)


def get(cluster: Cluster, *what: str) -> dict[str, Any]:
    """An object, or a list of them, as the API server has it."""
    done = cluster.kubectl("get", *what, "-o", "json", "--ignore-not-found")
    found: dict[str, Any] = json.loads(done.stdout) if done.stdout.strip() else {}
    return found
