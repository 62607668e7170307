"""values.yaml and the README of the chart, both made of values.schema.json: its defaults and its descriptions."""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parent.parent / "charts" / "llmendpoint-operator"
MADE = "Made by `make generate` from values.schema.json; edit that."
README = f"""\
<!-- {MADE} -->
# llmendpoint-operator

One Kubernetes object becomes a production LLM service. Kubernetes 1.30 or newer.

```
helm install llmendpoint-operator . -n llmendpoint-system --create-namespace
helm upgrade llmendpoint-operator . -n llmendpoint-system --reset-then-reuse-values
```

An upgrade brings the CRD too, and restarts no engine. Uninstalling leaves the CRD, and endpoints serving; the README of
the repository says how to remove all. Without Helm: `make install-yaml` writes `dist/install.yaml` for `kubectl apply
--server-side -f`.

Metrics, alerts and dashboards are switched on below; docs/observability.md says what they show.

| value | default | meaning |
|---|---|---|
"""


def values() -> str:
    """values.yaml: every value with its default, and what it means above it."""
    return "\n".join([f"# {MADE}", *_yaml(_properties(), 0)]) + "\n"


def readme() -> str:
    """README.md: a table of all values."""
    return README + "".join(_rows(_properties(), ""))


def _properties() -> Mapping[str, Any]:
    schema = json.loads((CHART / "values.schema.json").read_text())
    return {name: value for name, value in schema["properties"].items() if name != "global"}


def _yaml(properties: Mapping[str, Any], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, schema in properties.items():
        if depth == 0:
            yield ""
        comment = textwrap.wrap(schema["description"], 118 - len(indent), break_on_hyphens=False)
        yield from (f"{indent}# {line}" for line in comment)
        if "default" in schema:
            yield f"{indent}{name}: {_flow(schema['default'])}"
        else:
            yield f"{indent}{name}:"
            yield from _yaml(schema["properties"], depth + 1)


def _rows(properties: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, schema in properties.items():
        path, default = f"{prefix}{name}", f"`{_flow(schema['default'])}`" if "default" in schema else ""
        yield f"| `{path}` | {default} | {schema['description']} |\n"
        if "default" not in schema:
            yield from _rows(schema["properties"], f"{path}.")


def _flow(value: object) -> str:
    """As YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(part)}" for key, part in value.items()) + "}"
    if isinstance(value, str) and re.fullmatch(r"[\w./:-]+", value) and yaml.safe_load(value) == value:
        return value
    return json.dumps(value)
