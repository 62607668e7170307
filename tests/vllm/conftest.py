"""A node, the product without any simulator, and an endpoint whose engine is a real vLLM with a tiny model."""

import json
import os
from collections.abc import Iterator

import pytest

from localcluster import cluster as local
from localcluster import images, product, realengine
from localcluster.cluster import Cluster
from localcluster.realengine import RealEngine
from support.endpoints import apply, ready
from support.kube import eventually

CLAIM = "tiny-model"
SLOTS = 8
START_SECONDS = 600.0


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
    apply(
        cluster,
        name,
        model={"source": f"pvc://{CLAIM}", "servedName": "tiny"},
        engine={
            "image": images.image_name(realengine.IMAGE),
            # A stream takes a minute where others use the processors too.
            "drainSeconds": 180,
            "args": ["--dtype=bfloat16", "--max-model-len=4096", f"--max-num-seqs={SLOTS}", "--enforce-eager"],
            "env": [
                {"name": "VLLM_CPU_KVCACHE_SPACE", "value": "1"},
                {"name": "HF_HUB_OFFLINE", "value": "1"},
            ],
            "podTemplate": _with_vllm(engine),
        },
        scaling={
            "maxReplicas": 2,
            "scaleOut": {"cooldownSeconds": 10},
            "scaleIn": {"cooldownSeconds": 10, "holdSeconds": 30},
        },
    )
    eventually(lambda: ready(cluster, name, 1), START_SECONDS)
    return name


def _with_vllm(engine: RealEngine) -> dict[str, object]:
    """What a vendor's image would bring along, from the machine that the node is."""
    volume = {"name": "vllm", "hostPath": {"path": str(engine.environment), "type": "Directory"}}
    mount = {"name": "vllm", "mountPath": realengine.PLACE, "readOnly": True}
    return {"spec": {"volumes": [volume], "containers": [{"name": "engine", "volumeMounts": [mount]}]}}


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
