"""Clients that come through a real Gateway: long streams, a scale-in, a roll-out and an endpoint that sleeps."""

import time
from collections.abc import Iterator

import pytest

from localcluster.cluster import Cluster
from localcluster.product import Load
from support import endpoints
from support.endpoints import condition, engine_env, ready, status
from support.gateway import GATEWAY, HOST, running_gateway
from support.kube import eventually
from support.loads import all_complete, stopped

pytestmark = pytest.mark.e2e

NAMESPACE = "behind-a-gateway"
# Streams of about 20 s: Envoy ends a request after 15 s where its route does not say otherwise.
TOKENS = 600
LATER_SECONDS = 20
LONG = 120.0


@pytest.fixture(scope="module")
def routed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two replicas behind the Gateway."""
    if cluster.kind != "local":
        pytest.skip("Envoy runs in the network of the node, which only a cluster made here lets a process into")
    with running_gateway(cluster, tmp_path_factory.mktemp("gateway")):
        cluster.kubectl("create", "namespace", NAMESPACE)
        apply(cluster, scaling={"maxReplicas": 3, "mode": "Off"}, replicas=2)
        eventually(lambda: ready(cluster, NAMESPACE, 2), LONG)
        # The operator looks each minute whether there is a Gateway API now.
        eventually(lambda: condition(cluster, NAMESPACE, "RouteAccepted")["status"] == "True", LONG)
        assert status(cluster, NAMESPACE)["url"] == f"http://{HOST}"
        yield cluster
        cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def apply(cluster: Cluster, **spec: object) -> None:
    endpoints.apply(
        cluster,
        NAMESPACE,
        model={"source": "hf://acme/llama", "servedName": "tiny"},
        gateway={"parentRefs": [GATEWAY], "hostnames": [HOST]},
        **{"engine": {"env": engine_env()}, **spec},
    )


def load(cluster: Cluster, name: str, *arguments: str) -> Load:
    return Load(cluster, NAMESPACE, name, [status(cluster, NAMESPACE)["url"], *arguments])


def test_a_scale_in_and_a_roll_out_cut_no_stream_of_the_gateway(routed: Cluster) -> None:
    client = load(routed, "client", "--rate=1", "--seconds=600", f"--max-tokens={TOKENS}")
    time.sleep(LATER_SECONDS)
    routed.kubectl("scale", "llmendpoint", endpoints.NAME, "-n", NAMESPACE, "--replicas=1")
    eventually(lambda: ready(routed, NAMESPACE, 1), LONG)
    apply(routed, engine={"env": engine_env(REVISION="2")}, scaling={"maxReplicas": 3, "mode": "Off"})
    time.sleep(1)
    eventually(lambda: ready(routed, NAMESPACE, 1), LONG)
    stopped(client, at_least=20)


def test_requests_of_the_gateway_wake_an_endpoint_that_sleeps(routed: Cluster) -> None:
    apply(
        routed,
        scaling={"minReplicas": 0, "maxReplicas": 2, "idleSeconds": 10, "scaleIn": {"cooldownSeconds": 0}},
    )
    eventually(lambda: status(routed, NAMESPACE)["replicas"] == 0, LONG)
    all_complete(load(routed, "early", "--rate=2", "--seconds=5", "--max-tokens=10"), at_least=5)
