"""Changes of an endpoint that is there: what its children can not follow is refused, and nothing is lost on the way."""

from typing import Any

import pytest

from localcluster.cluster import Cluster
from localcluster.errors import LocalClusterError
from support.endpoints import apply
from support.kube import eventually, get

pytestmark = pytest.mark.apiserver
BUSINESS = {"image": "example.test/rag:1"}
CACHE = {"size": "10Gi", "storageClassName": "fast", "accessMode": "ReadWriteMany"}


def cached(**changes: Any) -> dict[str, Any]:
    cache = {name: value for name, value in {**CACHE, **changes}.items() if value is not None}
    return {"source": "hf://acme/llama", "cache": cache}


def test_what_a_claim_can_not_follow_is_refused(apiserver: Cluster, namespace: str) -> None:
    fixed, shrunk = "accessMode and storageClassName can not be changed", "model.cache.size can grow and not shrink"
    apply(apiserver, namespace, model=cached())
    for changes, sentence in (
        ({"accessMode": "ReadWriteOnce"}, fixed),
        ({"storageClassName": "slow"}, fixed),
        ({"storageClassName": None}, fixed),
        ({"size": "9Gi"}, shrunk),
        ({"size": "10G"}, shrunk),
    ):
        with pytest.raises(LocalClusterError, match=sentence):
            apply(apiserver, namespace, model=cached(**changes))


def test_a_cache_may_grow(apiserver: Cluster, namespace: str) -> None:
    for size in ("10Gi", "11Gi", "0.011Ti", "13G"):
        apply(apiserver, namespace, model=cached(size=size))


def test_a_cache_is_made_anew_where_it_was_taken_away(apiserver: Cluster, namespace: str) -> None:
    def claim() -> dict[str, Any]:
        return get(apiserver, "pvc", "llama-cache", "-n", namespace)

    apply(apiserver, namespace, model=cached())
    eventually(claim)
    apply(apiserver, namespace)
    eventually(lambda: not claim())
    apply(apiserver, namespace, model=cached(size="1Gi", accessMode="ReadWriteOnce"))
    assert eventually(claim)["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_a_business_service_keeps_its_replicas_when_its_bounds_change(apiserver: Cluster, namespace: str) -> None:
    def bound(least: int, most: int) -> None:
        apply(apiserver, namespace, business={**BUSINESS, "replicas": {"min": least, "max": most}})

    def count() -> int:
        return int(get(apiserver, "deployment", "llama-business", "-n", namespace)["spec"]["replicas"])

    def autoscaler() -> dict[str, Any]:
        return get(apiserver, "hpa", "llama-business", "-n", namespace).get("spec", {})

    def pods() -> set[str]:
        items = get(apiserver, "pods", "-n", namespace, "-l", "llmendpoint.dev/component=business")["items"]
        return {item["metadata"]["uid"] for item in items if "deletionTimestamp" not in item["metadata"]}

    bound(4, 4)
    eventually(lambda: len(pods()) == 4)
    first = pods()
    bound(4, 8)
    eventually(lambda: autoscaler()["maxReplicas"] == 8)
    bound(5, 5)
    eventually(lambda: len(pods()) == 5)
    assert first <= pods()
    bound(1, 1)
    eventually(lambda: count() == 1 and not autoscaler())
    bound(2, 2)
    eventually(lambda: count() == 2)
