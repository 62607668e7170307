"""What the watches said last, by endpoint."""

import json
from typing import Any

import pytest

from llmendpoint.api import names
from llmendpoint.runtime.store import Key, Store
from support.builders import endpoint_object, pod

KEY = Key("team", "llama")


def of_version(body: dict[str, Any], version: str, uid: str | None = None) -> dict[str, Any]:
    metadata = {**body["metadata"], "resourceVersion": version} | ({"uid": uid} if uid else {})
    return {**body, "metadata": metadata}


def service(name: str = "llama", **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "team", "uid": f"uid-{name}", "resourceVersion": "1", "labels": labels}
    return {"kind": "Service", "metadata": metadata}


OURS = {names.LABEL_ENDPOINT: "llama"}


def test_an_endpoint_its_children_and_its_pods_are_found_by_its_key() -> None:
    store = Store()
    assert [store.put(body) for body in (endpoint_object(), service(**OURS), pod())] == [KEY, KEY, KEY]
    assert store.keys == (KEY,)
    found = store.endpoint(KEY)
    assert found is not None
    assert found["metadata"]["name"] == "llama"
    assert [body["kind"] for body in store.children(KEY)] == ["Service"]
    assert [body["kind"] for body in store.pods(KEY)] == ["Pod"]


def test_what_nobody_has_put_is_not_there() -> None:
    store = Store()
    assert (store.keys, store.endpoint(KEY), store.children(KEY), store.pods(KEY)) == ((), None, [], [])


def test_a_child_is_known_before_its_endpoint() -> None:
    store = Store()
    assert store.put(service(**OURS)) == KEY
    assert store.keys == ()
    assert len(store.children(KEY)) == 1


@pytest.mark.parametrize("labels", [{}, {"app": "llama"}, {names.LABEL_ENDPOINT: ""}])
def test_an_object_without_our_label_concerns_nobody(labels: dict[str, str]) -> None:
    store = Store()
    assert store.put(service(**labels)) is None
    assert store.drop(service(**labels)) is None


def test_namesakes_in_two_namespaces_are_two() -> None:
    store = Store()
    keys = [store.put(endpoint_object(namespace=namespace)) for namespace in ("a", "b")]
    assert keys == [Key("a", "llama"), Key("b", "llama")]
    store.drop(endpoint_object(namespace="a"))
    assert store.keys == (Key("b", "llama"),)


@pytest.mark.parametrize(
    ("what", "known", "said", "is_news"),
    [
        ("a newer version", "9", "10", True),
        ("the same version", "9", "9", False),
        ("an older version, which an answer may be that was on its way", "10", "9", False),
        ("another version of an API server that does not count", "a9", "a10", True),
        ("the same version of an API server that does not count", "a9", "a9", False),
    ],
)
def test_only_what_is_newer_is_news(what: str, known: str, said: str, is_news: bool) -> None:
    store = Store()
    store.put(of_version(pod(), known))
    assert store.put(of_version(pod(), said)) == (KEY if is_news else None)
    assert store.pods(KEY)[0]["metadata"]["resourceVersion"] == (said if is_news else known)


def test_a_successor_of_the_same_name_is_news_whatever_its_version() -> None:
    store = Store()
    store.put(of_version(endpoint_object(), "9", "first"))
    assert store.put(of_version(endpoint_object(), "3", "second")) == KEY
    found = store.endpoint(KEY)
    assert found is not None
    assert found["metadata"]["uid"] == "second"


def test_what_was_dropped_is_gone() -> None:
    store = Store()
    for body in (endpoint_object(), service(**OURS), pod()):
        store.put(body)
    assert [store.drop(body) for body in (pod(), service(**OURS), endpoint_object())] == [KEY, KEY, KEY]
    assert (store.keys, store.endpoint(KEY), store.children(KEY), store.pods(KEY)) == ((), None, [], [])


def test_dropping_what_was_never_there_still_names_the_endpoint() -> None:
    assert Store().drop(pod()) == KEY


def test_the_late_end_of_a_predecessor_does_not_take_its_successor_away() -> None:
    store = Store()
    store.put(of_version(pod(), "5", "second"))
    assert store.drop(of_version(pod(), "4", "first")) is None
    assert len(store.pods(KEY)) == 1


def test_managed_fields_are_not_kept_and_the_rest_is_left_as_it_was() -> None:
    body = service(**OURS)
    body["metadata"]["managedFields"] = [{"manager": "llmendpoint"}]
    store = Store()
    store.put(body)
    assert "managedFields" not in store.children(KEY)[0]["metadata"]
    assert store.children(KEY)[0]["metadata"]["labels"] == OURS
    assert "managedFields" in body["metadata"]


def test_only_what_is_looked_at_is_kept_of_the_spec_of_a_pod() -> None:
    port, limits = {"name": "http", "containerPort": 8000}, {"nvidia.com/gpu": "2"}
    containers = [
        {"name": "engine", "image": "i", "ports": [port], "resources": {"limits": limits, "requests": limits}},
        {"name": "proxy", "image": "i", "restartPolicy": "Always"},
    ]
    store = Store()
    looked_at = {"nodeName": "one", "terminationGracePeriodSeconds": 80, "resourceClaims": [{"name": "gpu"}]}
    store.put(pod() | {"spec": {"containers": containers, **looked_at, "dnsPolicy": "Default"}})
    store.put(endpoint_object())
    assert store.pods(KEY)[0]["spec"] == {
        "containers": [
            {"name": "engine", "ports": [port], "resources": {"limits": limits}},
            {"name": "proxy", "ports": [], "restartPolicy": "Always"},
        ],
        **looked_at,
    }
    found = store.endpoint(KEY)
    assert found is not None
    assert found["spec"] == endpoint_object()["spec"]


def test_equal_strings_of_two_objects_are_kept_once() -> None:
    store = Store()
    for name in ("one", "two"):
        store.put(json.loads(json.dumps(pod(name))))
    one, two = store.pods(KEY)
    assert one["status"]["conditions"] == two["status"]["conditions"]
    assert one["status"]["conditions"][0]["type"] is two["status"]["conditions"][0]["type"]
    assert [key for key in one["status"] if not any(key is other for other in two["status"])] == []


def test_a_spec_is_parsed_once_for_each_generation() -> None:
    store, body = Store(), endpoint_object()
    store.put(body)
    first = store.read(body)
    later = of_version({**body, "status": {"replicas": 3}}, "9")
    store.put(later)
    assert store.read(later).spec is first.spec
    assert store.read(later).status.replicas == 3
    edited = of_version({**later, "metadata": {**later["metadata"], "generation": 2}}, "10")
    edited["spec"] = {**edited["spec"], "replicas": 2}
    store.put(edited)
    assert store.read(edited).spec.replicas == 2


def test_the_spec_of_a_deleted_endpoint_is_not_taken_for_its_namesakes() -> None:
    store, body = Store(), endpoint_object()
    store.put(body)
    store.read(body)
    store.drop(body)
    namesake = of_version({**body, "spec": {**body["spec"], "replicas": 7}}, "9", uid="another")
    store.put(namesake)
    assert store.read(namesake).spec.replicas == 7
