"""A model that is fetched once on a real node, for replicas that start from it without a hub."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcluster import images
from localcluster.cluster import Cluster
from support import hub_server
from support.endpoints import apply, condition, engine_env, ready, reason, status
from support.kube import eventually, get

pytestmark = pytest.mark.e2e
TOKEN = "hub-token"
WRITE = (
    "from pathlib import Path; import os; "
    "model = Path('/hub/acme/llama'); model.mkdir(parents=True); "
    "(model / 'config.json').write_text('{}'); "
    "[(model / f'model-{n}.safetensors').write_bytes(os.urandom(20 << 20)) for n in range(3)]"
)


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.node.name.replace("_", "-").removeprefix("test-")[:40].strip("-")
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=baseline")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def hub(cluster: Cluster, namespace: str) -> str:
    """The URL of a hub in a pod, which lets in who has the token."""
    about = {"namespace": namespace, "labels": {"app": "hub"}}
    serve = f'python3 -c "{WRITE}" && exec python3 /program/hub.py /hub --port=8080 --token={TOKEN} --rate=6000000'
    container = {
        "name": "hub",
        "image": images.image_name("enginesim"),
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", serve],
        "volumeMounts": [{"name": "program", "mountPath": "/program"}, {"name": "hub", "mountPath": "/hub"}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
    }
    volumes = [{"name": "program", "configMap": {"name": "hub"}}, {"name": "hub", "emptyDir": {}}]
    bodies: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hub", **about},
         "data": {"hub.py": Path(hub_server.__file__).read_text()}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hub", **about}, "stringData": {"token": TOKEN}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "hub", **about},
         "spec": {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 0}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hub", **about},
         "spec": {"selector": {"app": "hub"}, "ports": [{"port": 80, "targetPort": 8080}]}},
    ]  # fmt: skip
    for body in bodies:
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(body))
    cluster.kubectl("wait", "pod/hub", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    return f"http://hub.{namespace}.svc"


def requests(cluster: Cluster, namespace: str) -> list[str]:
    """What the hub was asked, probes aside."""
    text = cluster.kubectl("exec", "hub", "-n", namespace, "--", "cat", "/hub/requests.log").stdout
    return [line for line in text.splitlines() if "/healthz" not in line]


def test_two_replicas_start_from_one_fetch_without_the_hub(cluster: Cluster, namespace: str, hub: str) -> None:
    env = engine_env(1, HF_ENDPOINT=hub)
    spec = {
        "model": {
            "source": "hf://acme/llama",
            "servedName": "tiny",
            "tokenSecretRef": {"name": "hub", "key": "token"},
            "cache": {"size": "1Gi", "prefetch": True},
        },
        # A volume of this node is a folder of root's, and fsGroup changes nothing in one of its kind.
        "engine": {"env": env, "podTemplate": {"spec": {"securityContext": {"runAsUser": 0}}}},
    }
    apply(cluster, namespace, replicas=2, **spec)
    eventually(lambda: status(cluster, namespace).get("modelCache", {}).get("bytesTotal") == (60 << 20) + 2, 120)
    print(condition(cluster, namespace, "ModelCached")["message"])
    eventually(lambda: ready(cluster, namespace, 2), 120)
    job = get(cluster, "job", status(cluster, namespace)["modelCache"]["job"], "-n", namespace)
    engines = get(cluster, "deployment", "llama-engine", "-n", namespace)
    is_later = engines["metadata"]["creationTimestamp"] >= job["status"]["completionTime"]
    assert is_later, "no engine starts on half a model"
    print(condition(cluster, namespace, "ModelCached")["message"], json.dumps(status(cluster, namespace)["modelCache"]))
    fetched = [line for line in requests(cluster, namespace) if line.startswith("GET") and ".safetensors" in line]
    assert len(fetched) == 3, "each file once for all replicas"
    assert all(line.endswith(f"Bearer {TOKEN}") for line in fetched)

    cluster.kubectl("delete", "pod", "hub", "-n", namespace)
    cluster.kubectl("delete", "secret", "hub", "-n", namespace)
    apply(cluster, namespace, replicas=3, **spec)
    eventually(lambda: ready(cluster, namespace, 3), 60)
    assert reason(cluster, namespace) == "AllReplicasReady"
