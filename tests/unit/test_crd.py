"""The CRDs that are made of the models are structural, and say the same as the files in crds/."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from llmendpoint.api.schema import DEFINITIONS, Definition, crd, to_yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: definition.kind)
def test_the_file_says_what_the_models_say(definition: Definition) -> None:
    file = ROOT / "crds" / f"{definition.plural}.yaml"
    assert yaml.safe_load(file.read_text()) == yaml.safe_load(to_yaml(definition))


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: definition.kind)
def test_every_field_is_described(definition: Definition) -> None:
    schema = crd(definition)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    silent = [path for path, node in _fields(schema["properties"]["spec"], "spec") if not node.get("description")]
    assert silent == []


def _fields(node: dict[str, Any], path: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, child in node.get("properties", {}).items():
        found.append((f"{path}.{name}", child))
        found += _fields(child, f"{path}.{name}")
    if isinstance(node.get("items"), dict):
        found += _fields(node["items"], f"{path}[]")
    return found
