"""LoRA adapters on a real API server: replicas are told of a change and stay, and what makes no sense is refused."""

import json
from typing import Any

import pytest

from localcluster.cluster import Cluster
from localcluster.errors import LocalClusterError
from support.endpoints import apply, condition, reason, status
from support.kube import eventually, get

pytestmark = pytest.mark.apiserver

SQL = {"name": "sql", "source": "hf://acme/sql"}
LAW = {"name": "law", "source": "s3://adapters/law"}


def model(*adapters: dict[str, str]) -> dict[str, Any]:
    return {"source": "hf://acme/llama", "servedName": "tiny", "adapters": list(adapters)}


def engines(apiserver: Cluster, namespace: str) -> dict[str, list[str]]:
    """The adapters that each replica's loader is told, by the replica's uid."""
    items = get(apiserver, "pods", "-n", namespace, "-l", "llmendpoint.dev/component=engine")["items"]
    return {
        item["metadata"]["uid"]: [
            entry["name"]
            for entry in json.loads(item["metadata"].get("annotations", {}).get("llmendpoint.dev/adapters", "[]"))
        ]
        for item in items
    }


def writers(apiserver: Cluster, namespace: str) -> set[str]:
    """Field managers that own the list of a replica."""
    selector = "llmendpoint.dev/component=engine"
    items = get(apiserver, "pods", "-n", namespace, "-l", selector, "--show-managed-fields")["items"]
    return {
        entry["manager"]
        for item in items
        for entry in item["metadata"]["managedFields"]
        if "f:llmendpoint.dev/adapters" in entry["fieldsV1"].get("f:metadata", {}).get("f:annotations", {})
    }


def test_a_replica_is_told_of_a_change_and_stays(apiserver: Cluster, namespace: str) -> None:
    apply(apiserver, namespace, model=model(SQL), replicas=2)
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    eventually(lambda: list(engines(apiserver, namespace).values()) == [["sql"], ["sql"]])
    assert writers(apiserver, namespace) == {"llmendpoint"}
    before = set(engines(apiserver, namespace))

    apply(apiserver, namespace, model=model(SQL, LAW), replicas=2)
    eventually(lambda: list(engines(apiserver, namespace).values()) == [["sql", "law"]] * 2)

    def told() -> dict[str, tuple[str, str]]:
        return {entry["name"]: (entry["model"], entry["state"]) for entry in status(apiserver, namespace)["adapters"]}

    # Nobody answers at the addresses of these pods: that is told, and Ready does not look at it.
    eventually(lambda: told() == {"sql": ("sql", "Loading"), "law": ("law", "Loading")})
    assert condition(apiserver, namespace, "AdaptersReady")["reason"] == "AdaptersLoading"

    apply(apiserver, namespace, model=model(LAW), replicas=3)
    eventually(lambda: list(engines(apiserver, namespace).values()) == [["law"]] * 3)
    assert before < set(engines(apiserver, namespace))
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")

    apply(apiserver, namespace, replicas=3)
    eventually(lambda: "adapters" not in status(apiserver, namespace))
    eventually(lambda: not before & set(engines(apiserver, namespace)), 90)


REFUSED = {
    "duplicate entries": [SQL, {**SQL, "source": "hf://acme/other"}],
    "should match": [{"name": "a:b", "source": "hf://acme/sql"}],
    "model.servedName": [{"name": "tiny", "source": "hf://acme/sql"}],
    "must start with hf://": [{"name": "sql", "source": "ftp://acme/sql"}],
    "at most 64": [{"name": f"a{number}", "source": "hf://acme/sql"} for number in range(65)],
}


def test_adapters_that_make_no_sense_are_refused(apiserver: Cluster, namespace: str) -> None:
    for said, adapters in REFUSED.items():
        with pytest.raises(LocalClusterError, match=said):
            apply(apiserver, namespace, model=model(*adapters))
