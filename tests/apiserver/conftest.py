"""A real API server with its controllers, and fake nodes that let pods become ready."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from localcluster.cluster import Cluster
from support.clusters import running_apiserver
from support.operators import OperatorProcess, started_operator
from support.prometheus import Prometheus, running_prometheus


@pytest.fixture(scope="session")
def apiserver() -> Iterator[Cluster]:
    with running_apiserver("apitest", fake_nodes=3) as made:
        yield made


@pytest.fixture(scope="session")
def operator_process(apiserver: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """The operator as a process of its own."""
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    with started_operator(apiserver.kubeconfig, log) as started:
        started.await_ready()
        yield started


@pytest.fixture(scope="session")
def operator(operator_process: OperatorProcess) -> Path:
    """The log of one that runs."""
    return operator_process.log


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with running_prometheus(tmp_path_factory.mktemp("prometheus")) as server:
        yield server


@pytest.fixture
def namespace(apiserver: Cluster, operator: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.node.name.replace("_", "-").removeprefix("test-")[:40].strip("-")
    apiserver.kubectl("create", "namespace", name)
    yield name
    # Batches first: one that is left would make its engines anew.
    apiserver.kubectl("delete", "llmbatches,llmendpoints", "--all", "-n", name, "--wait=false")
    assert "Traceback" not in operator.read_text()
