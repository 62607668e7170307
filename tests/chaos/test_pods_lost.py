"""Pods that are evicted, crash, never start, or go with their node."""

import json
import time
from random import Random
from typing import Any

import pytest

from chaos.site import MOST, NAMESPACE, Site
from support.endpoints import condition, status
from support.kube import eventually, get

pytestmark = pytest.mark.apiserver
STUCK_SECONDS = 6.0


def test_pods_that_are_evicted_or_crash_are_replaced(site: Site, chance: Random) -> None:
    site.apply(hold_seconds=60)
    site.load()
    site.await_replicas(MOST)
    evicted, crashing, deleted = chance.sample(site.pods("engine"), 3)
    evict(site, evicted)
    crash(site, crashing)
    site.cluster.kubectl("delete", "pod", deleted["metadata"]["name"], "-n", NAMESPACE, "--wait=false")
    eventually(lambda: status(site.cluster, NAMESPACE)["readyReplicas"] == MOST - 1)
    site.cluster.kubectl("delete", "pod", crashing["metadata"]["name"], "-n", NAMESPACE, "--wait=false")
    site.await_replicas(MOST)


def test_a_roll_out_whose_pods_never_start_takes_nothing_away(site: Site) -> None:
    site.apply(hold_seconds=60)
    site.load()
    site.await_replicas(MOST)
    serving = names(site.pods("engine"))
    dead = {"name": "dead", "labels": {"pool": "dead"}}
    resources = {"cpu": "64", "memory": "1Ti", "pods": "100", "nvidia.com/gpu": "8"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": dead, "status": {"allocatable": resources}}
    site.cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(node))
    site.apply(hold_seconds=60, nodeSelector=dead["labels"])
    stuck = eventually(lambda: names(site.pods("engine")) - serving)
    with site.forbidden("in", "the pods of the new revision do not start"):
        time.sleep(STUCK_SECONDS)
        assert condition(site.cluster, NAMESPACE, "Progressing")["status"] == "True"
        assert status(site.cluster, NAMESPACE)["readyReplicas"] == MOST
    site.apply(hold_seconds=60)
    site.cluster.kubectl("delete", "node", "dead")
    # Nobody is there to say that they have ended.
    site.cluster.kubectl("delete", "pod", *stuck, "-n", NAMESPACE, "--force", "--grace-period=0")
    site.await_replicas(MOST)
    assert serving <= names(site.pods("engine"))


def evict(site: Site, pod: dict[str, Any]) -> None:
    name = pod["metadata"]["name"]
    # The controller learns of the last replica that became ready a moment later.
    eventually(lambda: get(site.cluster, "pdb", "llama-engine", "-n", NAMESPACE)["status"]["disruptionsAllowed"])
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": NAMESPACE}}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/eviction"
    site.cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body))


def crash(site: Site, pod: dict[str, Any]) -> None:
    """What a kubelet reports of a container that ends again and again."""
    name = pod["metadata"]["name"]
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}
    container = {
        "name": "engine",
        "ready": False,
        "restartCount": 3,
        "image": "x",
        "imageID": "x",
        "state": {"waiting": waiting},
    }
    conditions = [{"type": kind, "status": "False"} for kind in ("Ready", "ContainersReady")]
    patch = {"status": {"conditions": conditions, "containerStatuses": [container]}}
    site.cluster.kubectl(
        "patch", "pod", name, "-n", NAMESPACE, "--subresource=status", "--type=strategic", "-p", json.dumps(patch)
    )


def names(pods: list[dict[str, Any]]) -> set[str]:
    return {pod["metadata"]["name"] for pod in pods}
