"""Models that are fetched first, on a real API server with a real Job controller; on its fake nodes a fetch is done as
soon as it runs.
"""

import json
import time
from typing import Any

import pytest

from localcluster.cluster import Cluster
from support.endpoints import NAME, apply, condition, endpoint, reason, status
from support.kube import eventually, get

pytestmark = pytest.mark.apiserver
CACHE: dict[str, Any] = {"size": "1Gi", "storageClassName": "", "prefetch": True}


def model(source: str = "hf://acme/llama", **more: Any) -> dict[str, Any]:
    return {"source": source, "cache": CACHE, **more}


def volume(namespace: str) -> dict[str, Any]:
    """For the cache claim, which nobody mounts on a fake node."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{namespace}-cache"},
        "spec": {
            "storageClassName": "",
            "claimRef": {"namespace": namespace, "name": f"{NAME}-cache"},
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteMany"],
            "hostPath": {"path": "/nowhere"},
        },
    }


def jobs(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    items = get(cluster, "jobs", "-n", namespace).get("items", [])
    return [item for item in items if "deletionTimestamp" not in item["metadata"]]


def version(cluster: Cluster, namespace: str) -> str:
    return str(endpoint(cluster, namespace)["metadata"]["resourceVersion"])


def engine(cluster: Cluster, namespace: str) -> dict[str, Any]:
    return get(cluster, "deployment", f"{NAME}-engine", "-n", namespace)


def test_engines_start_when_the_model_is_there(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, model=model())
    eventually(lambda: reason(apiserver, namespace) in {"FetchingModel", "VolumePending"})
    (job,) = jobs(apiserver, namespace)
    assert engine(apiserver, namespace) == {}
    assert condition(apiserver, namespace, "ModelCached")["status"] == "False"
    assert status(apiserver, namespace)["modelCache"]["job"] == job["metadata"]["name"]
    apiserver.control_plane.apply([volume(namespace)])
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    assert condition(apiserver, namespace, "ModelCached")["reason"] == "ModelFetched"
    assert status(apiserver, namespace)["modelCache"]["state"] == "Cached"
    settled = version(apiserver, namespace)
    time.sleep(5)
    assert version(apiserver, namespace) == settled, "nothing is written when nothing happens"

    # Another revision: another Job, then the roll-out, and the Job of before goes.
    apply(apiserver, namespace, model=model(revision="v2"))
    eventually(lambda: [one["metadata"]["name"] for one in jobs(apiserver, namespace)] != [job["metadata"]["name"]])
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    eventually(lambda: len(jobs(apiserver, namespace)) == 1)
    (second,) = jobs(apiserver, namespace)
    kept = [arg for arg in second["spec"]["template"]["spec"]["containers"][0]["args"] if arg.startswith("--keep=")]
    assert len(kept) == 1, "what replicas load from stays"

    # Without prefetch the Job goes.
    apply(apiserver, namespace, model={"source": "hf://acme/llama", "cache": CACHE | {"prefetch": False}})
    eventually(lambda: jobs(apiserver, namespace) == [])
    eventually(lambda: "modelCache" not in status(apiserver, namespace))


def test_a_fetch_that_was_refused_says_so(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, model=model())
    pod = eventually(
        lambda: get(apiserver, "pods", "-n", namespace, "-l", "llmendpoint.dev/component=prefetch")["items"]
    )
    name = pod[0]["metadata"]["name"]
    said = "hf://acme/llama is gated: accept its terms on the hub"
    ended = {"name": "prefetch", "image": "i", "imageID": "i", "ready": False, "restartCount": 0}
    ended["state"] = {"terminated": {"exitCode": 2, "message": said, "reason": "Error"}}
    patch = json.dumps({"status": {"phase": "Failed", "containerStatuses": [ended]}})
    apiserver.kubectl("patch", "pod", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)
    eventually(lambda: reason(apiserver, namespace) == "FetchFailed")
    assert said in condition(apiserver, namespace, "Ready")["message"]
    assert status(apiserver, namespace)["modelCache"]["state"] == "Failed"
    # As the message says.
    (job,) = jobs(apiserver, namespace)
    apiserver.control_plane.apply([volume(namespace)])
    apiserver.kubectl("delete", "job", job["metadata"]["name"], "-n", namespace)
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
