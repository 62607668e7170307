"""The CRD that is made of the models is structural, and says the same as the file in crds/."""

from pathlib import Path
from typing import Any

import yaml

from llmendpoint.api.schema import crd, to_yaml

ROOT = Path(__file__).resolve().parents[2]


def test_the_file_says_what_the_models_say() -> None:
    assert yaml.safe_load((ROOT / "crds" / "llmendpoints.yaml").read_text()) == yaml.safe_load(to_yaml())


def test_every_field_is_described() -> None:
    schema = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
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
