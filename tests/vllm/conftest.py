"""A node, the product without any simulator, and an endpoint whose engine is a real vLLM with a tiny model."""

import json
import os
from collections.abc import Iterator

import pytest

from localcluster import cluster as local
from localcluster import product, realengine
from localcluster.cluster import Cluster
from localcluster.realengine import RealEngine
from support.endpoints import ready
from support.kube import eventually
from vllm.served import CLAIM, START_SECONDS, serve


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    made = local.up(f"vllm-{os.getpid()}")
    try:
        if made.kind != "local":
            pytest.fail("vLLM is mounted from a folder of this machine: that needs a node made here, as root, no kind")
        product.install(made, tick_seconds=1.0, simulated=False)
        yield made
    finally:
        made.down()


@pytest.fixture(scope="session")
def engine(cluster: Cluster) -> RealEngine:
    made = realengine.ensure()
    cluster.load_image(made.archive)
    return made


@pytest.fixture(scope="session")
def namespace(cluster: Cluster, engine: RealEngine) -> str:
    """Where the endpoint runs, with one replica ready."""
    name = "real"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(_claim(engine, name)))
    serve(cluster, engine, name)
    eventually(lambda: ready(cluster, name, 1), START_SECONDS)
    return name


def _claim(engine: RealEngine, namespace: str) -> dict[str, object]:
    """A volume with the model, and a claim that is bound to it."""
    shape = {"storageClassName": "", "accessModes": ["ReadOnlyMany"]}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": CLAIM},
        "spec": {
            **shape,
            "capacity": {"storage": "1Gi"},
            "hostPath": {"path": str(engine.model), "type": "Directory"},
            "claimRef": {"namespace": namespace, "name": CLAIM},
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": CLAIM, "namespace": namespace},
        "spec": {**shape, "volumeName": CLAIM, "resources": {"requests": {"storage": "1Gi"}}},
    }
    return {"apiVersion": "v1", "kind": "List", "items": [volume, claim]}
