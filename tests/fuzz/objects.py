"""LLMEndpoints as somebody might send them: golden ones, bent at random places of the CRD's own schema."""

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any

import hypothesis
import yaml
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from fuzz.values import HOSTILE, HOSTILE_VALUES, NAMES, Path, Schema, allowed
from llmendpoint.api.endpoint import EndpointSpec
from llmendpoint.api.names import API_VERSION, KIND
from llmendpoint.api.structural import structural
from localcluster.paths import ROOT

SPEC = structural(EndpointSpec)


class Source:
    """Objects without a name of their own, each different from those before; the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._seen: set[str] = set()

    def take(self, count: int) -> list[dict[str, Any]]:
        """The next ones."""
        made: list[dict[str, Any]] = []

        @hypothesis.settings(
            max_examples=count,
            phases=[Phase.generate],
            database=None,
            deadline=None,
            derandomize=False,
            suppress_health_check=list(HealthCheck),
        )
        @hypothesis.seed(self._seed)
        @hypothesis.given(bodies())
        def collect(body: dict[str, Any]) -> None:
            text = json.dumps(body)
            hypothesis.assume(text not in self._seen)
            self._seen.add(text)
            made.append(body)

        collect()
        self._seed += 1
        return made


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """A whole object."""
    metadata: dict[str, Any] = {}
    if draw(st.integers(0, 9)) == 0:
        part = draw(st.sampled_from(["labels", "annotations", "name"]))
        metadata[part] = draw(HOSTILE if part == "name" else st.dictionaries(NAMES, st.one_of(NAMES, HOSTILE)))
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": draw(specs())}


@st.composite
def specs(draw: st.DrawFn) -> Any:
    """One in eight is made of the schema alone; the others are good ones with up to two changes."""
    if draw(st.integers(0, 7)) == 0:
        return draw(allowed(SPEC))
    spec = copy.deepcopy(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 2))):
        path, schema = draw(st.sampled_from(PLACES))
        value = draw(HOSTILE if draw(st.integers(0, 3)) == 0 else allowed(schema, path))
        spec = _put(spec, path, value)
    return spec


def broken(status: Any, chance: Random) -> Any:
    """A status as another program, or another version of the operator, might have left it."""
    node, path = status, []
    while isinstance(node, dict | list) and node and (not path or chance.random() < 0.8):
        step = chance.choice(list(node) if isinstance(node, dict) else range(len(node)))
        path.append(step)
        node = node[step]
    made = copy.deepcopy(status)
    inner = made
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = chance.choice(HOSTILE_VALUES)
    return made


def _put(node: Any, path: Path, value: Any) -> Any:
    """``node`` with ``value`` at a path; what stands in the way is replaced."""
    if not path:
        return value
    name, rest = path[0], path[1:]
    if name == "[]":
        entries = list(node) if isinstance(node, list) else []
        head = entries[0] if entries else {}
        return [_put(head, rest, value), *entries[1:]]
    known = node if isinstance(node, dict) else {}
    key = next(iter(known), "nvidia.com/gpu") if name == "*" else name
    return {**known, key: _put(known.get(key), rest, value)}


def _places(schema: Schema, path: Path = ()) -> Iterator[tuple[Path, Schema]]:
    if path:
        yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from _places(part, (*path, name))
    for name, part in (("[]", schema.get("items")), ("*", schema.get("additionalProperties"))):
        if part:
            yield from _places(part, (*path, name))


PLACES = list(_places(SPEC))
# A tenth of all changes concern what is judged by the operator alone.
PLACES += [(path, schema) for path, schema in PLACES if path[-1] == "podTemplate"] * (len(PLACES) // 10)


def _seeds() -> Iterator[dict[str, Any]]:
    for folder in ("examples", "tests/golden"):
        for file in sorted((ROOT / folder).glob("*.yaml")):
            body = next(iter(yaml.safe_load_all(file.read_text())))
            if body["kind"] == KIND:
                yield body["spec"]
    source = {"model": {"source": "hf://acme/llama"}}
    yield source
    yield {**source, "replicas": 0}
    yield {**source, "scaling": {"maxReplicas": 3, "mode": "DryRun"}, "replicas": 2}
    target = {"type": "WaitingPerReplica", "value": 5}
    steps = [{"lowerBound": 0, "adjustment": 1}, {"upperBound": 0, "adjustment": -1}]
    yield {**source, "scaling": {"maxReplicas": 3, "policy": "Step", "targets": [target], "steps": steps}}
    prometheus = {"source": "Prometheus", "prometheus": {"url": "http://127.0.0.1:1"}}
    query = {"type": "PromQL", "query": "sum(up)", "value": 1}
    yield {
        **source,
        "scaling": {"maxReplicas": 3, "policy": "TargetTracking", "targets": [query], "metrics": prometheus},
    }


SEEDS = list(_seeds())
