"""LoRA adapters on a real node: added and taken away while replicas serve, on new replicas too, and a bad one."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from localcluster.cluster import Cluster
from support import claims, endpoints
from support.endpoints import condition, engine_env, ready, status
from support.kube import behind, eventually, get

pytestmark = pytest.mark.e2e

FOLDER = "/files"
ENGINE = {
    # Any real engine takes longer to start than a kubelet to hear from the loader that the last one has ended.
    "env": engine_env(10),
    "apiKeySecretRef": {"name": "key", "key": "key"},
}
# Ranks of the adapters in the claim: the engine takes 16.
RANKS = {"sql": 8, "law": 16, "wide": 64}
# For a second after a Service has its first pod, nodes still refuse connections to it.
ASK = """
import json, sys, time, urllib.error, urllib.request

def opened(request):
    for attempt in range(10):
        try:
            return urllib.request.urlopen(request, timeout=10)
        except urllib.error.URLError as error:
            if attempt == 9 or not isinstance(error.reason, ConnectionError):
                raise
            time.sleep(1)

for model in sys.argv[2:]:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}).encode()
    headers = {"Content-Type": "application/json", "Authorization": "Bearer secret"}
    request = urllib.request.Request(sys.argv[1] + "/v1/chat/completions", body, headers)
    try:
        print(json.dumps([200, json.load(opened(request))["model"]]))
    except urllib.error.HTTPError as error:
        print(json.dumps([error.code, json.load(error)["error"]["message"]]))
"""


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """With a claim that has the adapters, the pod that brought them, and the engine's key."""
    name = "adapters"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("create", "secret", "generic", "key", "--from-literal=key=secret", "-n", name)
    write = [
        f"mkdir -p {FOLDER}/{adapter} && echo '{json.dumps({'r': rank})}' > {FOLDER}/{adapter}/adapter_config.json"
        for adapter, rank in RANKS.items()
    ]
    claims.apply(cluster, name, FOLDER, " && ".join(write))
    yield name
    cluster.kubectl("exec", "files", "-n", name, "--", "sh", "-c", f"rm -rf {FOLDER}/*")
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def adapter(name: str) -> dict[str, str]:
    return {"name": name, "source": f"pvc://files/{name}"}


def apply(cluster: Cluster, namespace: str, *adapters: str, replicas: int = 1) -> None:
    model = {"source": "hf://acme/llama", "servedName": "tiny", "adapters": [adapter(name) for name in adapters]}
    endpoints.apply(cluster, namespace, model=model, engine=ENGINE, replicas=replicas)


def answers(cluster: Cluster, namespace: str, *models: str, url: str = "http://llama") -> list[list[Any]]:
    """Status, and the model's name or what is wrong, of one request for each model."""
    said = cluster.kubectl("exec", "files", "-n", namespace, "--", "/app/bin/python", "-c", ASK, url, *models).stdout
    return [json.loads(line) for line in said.splitlines()]


def replicas(cluster: Cluster, namespace: str) -> dict[str, tuple[int, str]]:
    """Restarts and address of the engine's pods, by uid."""
    items = get(cluster, "pods", "-n", namespace, "-l", "llmendpoint.dev/component=engine")["items"]
    return {
        item["metadata"]["uid"]: (
            sum(entry["restartCount"] for entry in item["status"]["containerStatuses"]), item["status"]["podIP"],
        )
        for item in items
    }  # fmt: skip


def told(cluster: Cluster, namespace: str) -> dict[str, tuple[str, int]]:
    return {
        entry["name"]: (entry["state"], entry["readyReplicas"])
        for entry in status(cluster, namespace).get("adapters", ())
    }


def events(cluster: Cluster, namespace: str, reason: str) -> list[str]:
    items = get(cluster, "events", "-n", namespace, f"--field-selector=reason={reason}")["items"]
    return [item.get("note") or item["message"] for item in items]


def test_adapters_come_and_go_while_replicas_serve(cluster: Cluster, namespace: str) -> None:
    apply(cluster, namespace, "sql")
    eventually(lambda: ready(cluster, namespace, 1), 120)
    # A replica is not ready before it has what it is to serve.
    assert answers(cluster, namespace, "sql", "tiny", "law") == [
        [200, "sql"], [200, "tiny"], [404, "The model `law` does not exist. Valid aliases: tiny."],
    ]  # fmt: skip
    eventually(lambda: told(cluster, namespace) == {"sql": ("Loaded", 1)}, 30)
    assert condition(cluster, namespace, "AdaptersReady")["status"] == "True"
    before = replicas(cluster, namespace)

    apply(cluster, namespace, "sql", "law")
    eventually(lambda: told(cluster, namespace) == {"sql": ("Loaded", 1), "law": ("Loaded", 1)}, 60)
    assert answers(cluster, namespace, "law", "sql") == [[200, "law"], [200, "sql"]]
    assert replicas(cluster, namespace) == before

    # A bad one is told of; all others are served, on new replicas as well.
    apply(cluster, namespace, "sql", "law", "wide", replicas=2)
    eventually(lambda: condition(cluster, namespace, "AdaptersReady")["reason"] == "AdapterFailed", 60)
    eventually(lambda: ready(cluster, namespace, 2), 120)
    eventually(lambda: told(cluster, namespace)["law"] == ("Loaded", 2), 60)
    assert "LoRA rank 64 is greater than max_lora_rank 16" in condition(cluster, namespace, "AdaptersReady")["message"]
    assert condition(cluster, namespace, "Ready")["status"] == "True"
    both = replicas(cluster, namespace)
    for _, address in both.values():
        found = answers(cluster, namespace, "sql", "law", "wide", url=f"http://{address}:8000")
        assert [code for code, _ in found] == [200, 200, 404]
    assert {uid: both[uid] for uid in before} == before
    assert len(events(cluster, namespace, "AdapterFailed")) == 1

    apply(cluster, namespace, "law", replicas=2)
    eventually(lambda: told(cluster, namespace) == {"law": ("Loaded", 2)}, 60)
    for _, address in both.values():
        found = answers(cluster, namespace, "law", "sql", url=f"http://{address}:8000")
        assert [code for code, _ in found] == [200, 404]
    assert replicas(cluster, namespace) == both
    print(json.dumps({"loaded": events(cluster, namespace, "AdapterLoaded")}))

    # An engine that ends has its adapters again before it is sent to.
    uid, (_, address) = next(iter(both.items()))
    cluster.kubectl(
        "exec", "files", "-n", namespace, "--", "/app/bin/python", "-c",
        "import sys, urllib.request as r; r.urlopen(r.Request(sys.argv[1], b'{\"crash\": true}', "
        "{'Content-Type': 'application/json'}))", f"http://{address}:8000/enginesim/faults",
    )  # fmt: skip
    eventually(lambda: behind(cluster, namespace, "llama") == {other for _, other in both.values()} - {address}, 60)
    eventually(lambda: address in behind(cluster, namespace, "llama"), 60)
    assert replicas(cluster, namespace)[uid] == (1, address)
    assert answers(cluster, namespace, "law", url=f"http://{address}:8000") == [[200, "law"]]
