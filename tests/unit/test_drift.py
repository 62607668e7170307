"""A child agrees with what was applied as long as nobody has edited it."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from llmendpoint.api.names import KIND
from llmendpoint.api.serving import QUANTITY
from llmendpoint.manifests import ManifestDefaults, children
from llmendpoint.reconcile.drift import agrees
from support.builders import endpoint
from support.stored import canonical_amount, stored

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
FieldPath = tuple[str | int, ...]


CHILDREN = pytest.mark.parametrize(
    "child",
    [
        pytest.param(body, id=f"{file.stem}-{body['kind']}-{body['metadata']['name']}")
        for file in sorted(GOLDEN.glob("*.yaml"))
        for owner, *bodies in [list(yaml.safe_load_all(file.read_text()))]
        if owner["kind"] == KIND  # of what a batch makes nothing is compared: it is made once
        for body in bodies
    ],
)


@CHILDREN
def test_a_child_as_the_api_server_stores_it_agrees(child: dict[str, Any]) -> None:
    assert agrees(child, stored(child))


@CHILDREN
def test_every_edit_of_a_field_is_detected(child: dict[str, Any]) -> None:
    before = stored(child)
    for path in leaves(child):
        for edit in (replaced, removed):
            assert not agrees(child, edit(before, path)), f"{edit.__name__}: {path}"


def leaves(node: Any, path: FieldPath = ()) -> Iterator[FieldPath]:
    """Paths of all values that are neither maps nor lists."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, value in inner:
        yield from leaves(value, (*path, name))
    if not isinstance(node, dict | list):
        yield path


def parent(body: Any, path: FieldPath) -> Any:
    for part in path[:-1]:
        body = body[part]
    return body


def replaced(body: dict[str, Any], path: FieldPath) -> dict[str, Any]:
    edited = copy.deepcopy(body)
    value = parent(edited, path)[path[-1]]
    parent(edited, path)[path[-1]] = (
        not value if isinstance(value, bool) else value + 1 if isinstance(value, int) else f"{value}0"
    )
    return edited


def removed(body: dict[str, Any], path: FieldPath) -> dict[str, Any]:
    edited = copy.deepcopy(body)
    del parent(edited, path)[path[-1]]
    return edited


AMOUNTS = st.integers(0, 10**6) | st.from_regex(QUANTITY, fullmatch=True).filter(lambda text: len(text) < 12)


@given(st.dictionaries(st.sampled_from(["cpu", "memory", "nvidia.com/gpu"]), AMOUNTS))
def test_amounts_agree_in_every_way_of_writing_them(limits: dict[str, int | str]) -> None:
    made = children(endpoint(engine={"resources": {"limits": limits, "requests": limits}}), ManifestDefaults())
    assert all(agrees(child, stored(child)) for child in made)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [("1000m", "1"), ("0.5", "500m"), ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), (1000, "1k"), ("12000M", "12G")],
)
def test_the_api_servers_way_of_writing_an_amount(written: int | str, canonical: str) -> None:
    assert canonical_amount(str(written)) == canonical
    assert agrees({"limits": {"cpu": written}}, {"limits": {"cpu": canonical}})


@pytest.mark.parametrize(
    ("what", "desired", "observed", "same"),
    [
        ("defaults are added", {"a": 1}, {"a": 1, "b": 2}, True),
        ("a value is another", {"a": 1}, {"a": 2}, False),
        ("an empty map is dropped", {"a": {}}, {}, True),
        ("an empty list is dropped", {"a": []}, {}, True),
        ("an empty map was filled", {"a": {}}, {"a": {"b": 1}}, True),
        ("a map is gone", {"a": {"b": 1}}, {}, False),
        ("a map became a value", {"a": {"b": 1}}, {"a": "b"}, False),
        ("a list became a value", {"a": ["b"]}, {"a": "b"}, False),
        ("a list that one writer owns has grown", {"args": ["a"]}, {"args": ["a", "b"]}, False),
        ("a list that one writer owns has another order", {"args": ["a", "b"]}, {"args": ["b", "a"]}, False),
        ("tolerations have grown", {"t": [{"key": "a"}]}, {"t": [{"key": "a"}, {"key": "b"}]}, False),
        ("others add entries to a keyed list", {"env": [{"name": "A"}]}, {"env": [{"name": "B"}, {"name": "A"}]}, True),
        ("an entry of a keyed list is gone", {"env": [{"name": "A"}]}, {"env": [{"name": "B"}]}, False),
        ("an entry of a keyed list is no map", {"env": [{"name": "A"}]}, {"env": ["A"]}, False),
        ("metrics have grown", {"metrics": [{"type": "R"}]}, {"metrics": [{"type": "R"}, {"type": "P"}]}, False),
        (
            "one volume at two paths",
            {"volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]},
            {"volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]},
            True,
        ),
        ("an amount is written otherwise", {"limits": {"cpu": 1}}, {"limits": {"cpu": "1000m"}}, True),
        ("an amount is another", {"limits": {"cpu": 1}}, {"limits": {"cpu": "1001m"}}, False),
        ("an amount is no amount", {"limits": {"cpu": 1}}, {"limits": {"cpu": None}}, False),
        ("what looks like an amount is a text", {"value": "1000"}, {"value": "1k"}, False),
    ],
)  # fmt: skip
def test_agreement(what: str, desired: Any, observed: Any, same: bool) -> None:
    assert agrees(desired, observed) == same
