"""A real API server with its controllers, and fake nodes that let pods become ready."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from localcluster import cluster as local
from localcluster.cluster import Cluster
from support.kube import eventually

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
    port = free_port()
    environment = {
        **os.environ,
        "KUBECONFIG": str(apiserver.kubeconfig),
        "PYTHONPATH": str(ROOT / "operator"),
        "LLMENDPOINT_HTTP_PORT": str(port),
        "LLMENDPOINT_TICK_SECONDS": "1",
        "LLMENDPOINT_RESYNC_SECONDS": "5",
    }
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "llmendpoint"], env=environment, stdout=out, stderr=out)
        try:
            eventually(lambda: process.poll() is not None or answers(f"http://127.0.0.1:{port}/readyz"))
            assert process.poll() is None, log.read_text()[-3000:]
            yield log
        finally:
            process.terminate()
            assert process.wait(20) == 0, log.read_text()[-3000:]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.ConnectError:
        return False


@pytest.fixture
def namespace(apiserver: Cluster, operator: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.node.name.replace("_", "-").removeprefix("test-")[:40].strip("-")
    apiserver.kubectl("create", "namespace", name)
    yield name
    apiserver.kubectl("delete", "llmendpoints", "--all", "-n", name, "--wait=false")
    assert "Traceback" not in operator.read_text()
