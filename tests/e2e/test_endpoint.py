"""Whole endpoints on a real node: all engines, both placements, scaling, drain, a killed operator."""

import json
import time
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from llmendpoint.api.serving import EngineType
from llmendpoint.engines import engine_for
from localcluster import images, product
from localcluster.cluster import Cluster
from localcluster.product import Load
from support import endpoints
from support.endpoints import endpoint, engine_env, ready
from support.kube import eventually
from support.loads import all_complete, stopped

pytestmark = pytest.mark.e2e

BUSINESS = {"image": images.image_name("business"), "port": 8001, "env": [{"name": "PORT", "value": "8001"}]}
ROUNDS = 4
REPLICAS = 6
ROLL_OUTS = 5
# From one scale-in to the next: several replicas drain at a time, each with streams that last longer than this.
APART_SECONDS = 3


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.node.name.replace("_", "-").replace("[", "-").replace("]", "").lower()[-40:]
    name = name.strip("-")
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def apply(cluster: Cluster, namespace: str, **spec: Any) -> None:
    model = {"source": "hf://acme/llama", "servedName": "tiny"}
    engine = {"env": engine_env(), **spec.get("engine", {})}
    endpoints.apply(cluster, namespace, **{"model": model, **spec, "engine": engine})


def load(cluster: Cluster, namespace: str, name: str, *arguments: str) -> Load:
    url = f"http://llama.{namespace}.svc.cluster.local"
    return Load(cluster, namespace, name, [url, *arguments])


@pytest.mark.parametrize("engine", get_args(EngineType))
@pytest.mark.parametrize("placement", ["Separate", "Sidecar"])
def test_an_endpoint_serves(cluster: Cluster, namespace: str, engine: str, placement: str) -> None:
    apply(cluster, namespace, engine={"type": engine}, business={**BUSINESS, "placement": placement})
    eventually(lambda: ready(cluster, namespace, 1), 60)
    all_complete(load(cluster, namespace, "client", "--rate=4", "--seconds=3", "--max-tokens=10"), at_least=4)


@pytest.mark.parametrize("engine", ["vLLM", "SGLang"])
def test_load_scales_out_and_in_although_the_operator_is_killed(
    cluster: Cluster, namespace: str, engine: EngineType
) -> None:
    apply(
        cluster,
        namespace,
        engine={"type": engine, "args": [f"{engine_for(engine).slots_flag}=4"]},
        business=BUSINESS,
        scaling={
            "maxReplicas": 3,
            "scaleOut": {"cooldownSeconds": 5},
            "scaleIn": {"cooldownSeconds": 10, "holdSeconds": 15},
        },
    )
    eventually(lambda: ready(cluster, namespace, 1), 60)
    client = load(cluster, namespace, "client", "--rate=3", "--seconds=40", "--max-tokens=80")
    wanted = ("get", "deployment", "llama-engine", "-n", namespace, "-o", "jsonpath={.spec.replicas}")
    eventually(lambda: int(cluster.kubectl(*wanted).stdout) > 1, 60)
    kill = ("delete", "pods", "-n", product.NAMESPACE, "--all", "--grace-period=0", "--force")
    cluster.kubectl(*kill)  # in the middle of the scale-out
    eventually(lambda: endpoint(cluster, namespace)["status"]["readyReplicas"] > 1, 60)
    all_complete(client, at_least=100)
    eventually(lambda: endpoint(cluster, namespace)["status"]["scaling"]["lastScaleInTime"], 120)
    cluster.kubectl(*kill)  # in the middle of a cooldown
    eventually(lambda: ready(cluster, namespace, 1), 120)
    scaling = endpoint(cluster, namespace)["status"]["scaling"]
    assert scaling["desiredReplicas"] == 1
    assert all(change["sentence"] for change in scaling["history"])


def test_twenty_scale_ins_and_five_roll_outs_cut_nothing(cluster: Cluster, namespace: str) -> None:
    apply(cluster, namespace, business=BUSINESS, scaling={"maxReplicas": REPLICAS, "mode": "Off"}, replicas=1)
    eventually(lambda: ready(cluster, namespace, 1), 60)
    client = load(
        cluster, namespace, "client", "--rate=2", "--seconds=600", "--max-tokens=200", "--hammer=20",
        "--hammer-path=/healthz",
    )  # fmt: skip
    scale_ins = 0
    for _ in range(ROUNDS):
        scale(cluster, namespace, REPLICAS)
        eventually(lambda: ready(cluster, namespace, REPLICAS), 120)
        time.sleep(APART_SECONDS)
        for replicas in range(REPLICAS - 1, 0, -1):
            scale(cluster, namespace, replicas)
            time.sleep(APART_SECONDS)
            scale_ins += 1
        eventually(lambda: ready(cluster, namespace, 1), 60)
    assert scale_ins == 20
    for number in range(ROLL_OUTS):
        patch = {"spec": {"engine": {"env": engine_env(REVISION=str(number))}}}
        cluster.kubectl("patch", "llmendpoint", "llama", "-n", namespace, "--type=merge", "-p", json.dumps(patch))
        time.sleep(1)
        eventually(lambda: ready(cluster, namespace, 1), 120)
    stopped(client, at_least=101, hammer=True)


def scale(cluster: Cluster, namespace: str, replicas: int) -> None:
    cluster.kubectl("scale", "llmendpoint", "llama", "-n", namespace, f"--replicas={replicas}")
