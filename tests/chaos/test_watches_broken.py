"""Objects that are deleted while the operator looks away, and watches that can not be resumed afterwards."""

import json

import httpx
import pytest

from chaos.site import MOST, NAMESPACE, Site
from support.kube import eventually, get

pytestmark = pytest.mark.apiserver
DELETED = ("deployment/llama-engine", "service/llama", "hpa/llama-business", "pdb/llama-engine")
WATCHED = "/apis/llmendpoint.dev/v1alpha1/llmendpoints"


def compact(etcd: str) -> None:
    """Have etcd forget all but what is now."""
    now = httpx.post(f"{etcd}/v3/kv/range", json={"key": "AA=="}).raise_for_status().json()["header"]["revision"]
    httpx.post(f"{etcd}/v3/kv/compaction", json={"revision": now}).raise_for_status()


def test_what_is_deleted_behind_a_broken_watch_comes_back(site: Site) -> None:
    site.apply(hold_seconds=60)
    site.load()
    site.await_replicas(MOST)
    kubectl = site.cluster.kubectl
    version = json.loads(kubectl("get", "--raw", WATCHED).stdout)["metadata"]["resourceVersion"]
    with site.operator.frozen():
        kubectl("delete", *DELETED, "-n", NAMESPACE)
        compact(site.component("etcd").argument("listen-client-urls"))
        with site.without("kube-apiserver"):
            pass  # a new one knows nothing of what was
        resumed = kubectl("get", "--raw", f"{WATCHED}?watch=1&resourceVersion={version}&timeoutSeconds=5").stdout
        assert '"code":410' in resumed
    eventually(lambda: len(get(site.cluster, *DELETED, "-n", NAMESPACE)["items"]) == len(DELETED))
    site.await_replicas(MOST)
