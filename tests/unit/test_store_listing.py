"""A live listing replaces what the watches said, and loses nothing that they say while it is on its way."""

from typing import Any

from llmendpoint.runtime.store import Key, Store

KEY = Key("team", "llama")


def pod(name: str, version: int, uid: str = "1", **status: Any) -> dict[str, Any]:
    labels = {"llmendpoint.dev/endpoint": "llama"}
    metadata = {"name": name, "namespace": "team", "uid": uid, "resourceVersion": str(version), "labels": labels}
    return {"kind": "Pod", "metadata": metadata, "status": status}


def names(store: Store) -> list[str]:
    return [body["metadata"]["name"] for body in store.pods(KEY)]


def test_a_listing_forgets_what_is_gone() -> None:
    store = Store()
    store.put(pod("a", 1))
    store.begin_listing()
    store.add_listed(pod("b", 2))
    assert store.end_listing() == {KEY}
    assert names(store) == ["b"]


def test_a_change_during_a_listing_outlives_it() -> None:
    store = Store()
    store.put(pod("a", 1))
    store.begin_listing()
    store.put(pod("a", 5, phase="Running"))
    store.put(pod("new", 6))
    store.add_listed(pod("a", 1))
    store.end_listing()
    assert names(store) == ["a", "new"]
    assert store.pods(KEY)[0]["status"] == {"phase": "Running"}


def test_a_deletion_during_a_listing_outlives_it() -> None:
    store = Store()
    store.put(pod("a", 1))
    store.begin_listing()
    store.drop(pod("a", 3))
    store.add_listed(pod("a", 1))
    store.end_listing()
    assert names(store) == []


def test_a_successor_of_the_same_name_is_not_deleted_with_its_predecessor() -> None:
    store = Store()
    store.begin_listing()
    store.drop(pod("a", 3, uid="old"))
    store.add_listed(pod("a", 4, uid="new"))
    store.end_listing()
    assert names(store) == ["a"]


def test_a_late_answer_does_not_bring_back_what_is_deleted() -> None:
    store = Store()
    store.put(pod("a", 1))
    store.drop(pod("a", 3))
    assert store.put(pod("a", 2)) is None
    assert names(store) == []


def test_an_object_that_gets_its_label_back_is_known_again() -> None:
    store = Store()
    store.put(pod("a", 1))
    store.drop(pod("a", 3))  # what a watch says when the label is removed
    assert store.put(pod("a", 4)) == KEY
    assert names(store) == ["a"]
