"""Equal parts of objects are one, and what is not quite equal is not."""

from typing import Any

import pytest

from llmendpoint.runtime import sharing
from llmendpoint.runtime.sharing import Sharing
from support.builders import pod


def test_what_two_pods_have_in_common_is_kept_once() -> None:
    shared = Sharing()
    first, second = shared.of(pod("a")), shared.of(pod("b"))
    assert (first, second) == (pod("a"), pod("b"))
    assert first["status"] is second["status"]
    assert first["metadata"] is not second["metadata"]
    assert first["metadata"]["labels"] is second["metadata"]["labels"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, []),
        (1, True),
        (1, 1.0),
        (0, False),
        ({"a": 1}, {"b": 1}),
        ({"a": {}}, {"a": []}),
        ([1, 2], [2, 1]),
        ("", None),
    ],
)
def test_what_only_looks_equal_stays_apart(one: Any, other: Any) -> None:
    shared = Sharing()
    made = [shared.of({"part": value}) for value in (one, other)]
    assert made == [{"part": one}, {"part": other}]
    assert [type(each["part"]) for each in made] == [type(one), type(other)]


def test_an_order_of_keys_is_kept() -> None:
    shared = Sharing()
    assert [list(shared.of(each)) for each in ({"a": 1, "b": 2}, {"b": 2, "a": 1})] == [["a", "b"], ["b", "a"]]


def test_a_full_table_forgets_and_mixes_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "PARTS_KNOWN", 3)
    shared = Sharing()
    for round_ in range(50):
        value = {"a": [{"b": round_}, {"c": [round_, {}]}], "d": {"e": {"f": round_ % 5}}}
        assert shared.of(value) == value
