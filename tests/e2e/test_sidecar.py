"""The business service beside the engine, on a real node: it starts after the engine and may call it to the end."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from localcluster import images
from localcluster.cluster import Cluster
from localcluster.product import Load
from support import endpoints
from support.endpoints import ready
from support.kube import eventually, get
from support.loads import stopped

pytestmark = pytest.mark.e2e

NAMESPACE = "beside-the-engine"
BUSINESS = {
    "image": images.image_name("business"),
    "port": 8001,
    "env": [{"name": "PORT", "value": "8001"}],
    "placement": "Sidecar",
}
STARTUP_SECONDS = 6
# Well after both containers' pre-stop pause of 5 s, and well before the streams of that moment end, which take 33 s.
LATER_SECONDS = 12
TOKENS = 1000
# Of so many, each replica has some.
STREAMS = 16
ASK = """
import json, os, urllib.request
body = {"messages": [{"role": "user", "content": "and?"}], "max_tokens": 3, "model": os.environ["LLM_MODEL"]}
url, headers = os.environ["LLM_BASE_URL"] + "/v1/chat/completions", {"Content-Type": "application/json"}
print(urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)).status)
"""


@pytest.fixture(scope="module")
def serving(cluster: Cluster) -> Iterator[Cluster]:
    """Two replicas of engine and business service."""
    cluster.kubectl("create", "namespace", NAMESPACE)
    endpoints.apply(
        cluster,
        NAMESPACE,
        model={"source": "hf://acme/llama", "servedName": "tiny"},
        engine={"env": endpoints.engine_env(STARTUP_SECONDS)},
        business=BUSINESS,
        scaling={"maxReplicas": 2, "mode": "Off"},
        replicas=2,
    )
    eventually(lambda: ready(cluster, NAMESPACE, 2), 90)
    yield cluster
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def pods(cluster: Cluster) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(cluster, "pods", "-n", NAMESPACE, "-l", "llmendpoint.dev/component=engine")[
        "items"
    ]
    return found


def test_the_business_service_starts_when_the_engine_is_ready(serving: Cluster) -> None:
    for pod in pods(serving):
        (engine,), (business,) = pod["status"]["initContainerStatuses"], pod["status"]["containerStatuses"]
        began, followed = (
            datetime.fromisoformat(status["state"]["running"]["startedAt"]) for status in (engine, business)
        )
        assert (followed - began).total_seconds() >= STARTUP_SECONDS
        assert (engine["restartCount"], business["restartCount"]) == (0, 0)
    endpoint_slices = get(serving, "endpointslices", "-n", NAMESPACE, "-l", "kubernetes.io/service-name=llama-engine")[
        "items"
    ]
    assert [port["port"] for part in endpoint_slices for port in part["ports"]] == [8000]


def test_a_scale_in_cuts_no_request_that_still_calls_the_engine(serving: Cluster) -> None:
    url = f"http://llama.{NAMESPACE}.svc.cluster.local"
    client = Load(
        serving, NAMESPACE, "client",
        [url, "--rate=1", "--seconds=600", f"--max-tokens={TOKENS}", "--hammer=10", "--hammer-path=/healthz"],
    )  # fmt: skip
    eventually(lambda: any(line["streams"]["inFlight"] >= STREAMS for line in client.lines()), 60)
    serving.kubectl("scale", "llmendpoint", "llama", "-n", NAMESPACE, "--replicas=1")
    leaving = eventually(
        lambda: [pod["metadata"]["name"] for pod in pods(serving) if "deletionTimestamp" in pod["metadata"]]
    )
    time.sleep(LATER_SECONDS)
    asked = serving.kubectl("exec", *leaving, "-n", NAMESPACE, "-c", "business", "--", "python", "-c", ASK)
    assert asked.stdout.strip() == "200"
    eventually(lambda: len(pods(serving)) == 1, 90)
    stopped(client, at_least=21, hammer=True)
