"""docs/fields.md: every field of an LLMEndpoint as tables, made of the schema that the API server checks."""

import html
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from llmendpoint.api.schema import object_schema

Schema = Mapping[str, Any]

HEAD = """\
<!-- Made by `make generate` from operator/llmendpoint/api; edit that. -->
# Every field

One table for each object inside an `LLMEndpoint`; `kubectl explain llmendpoint.spec.scaling` shows the same. **Bold**
fields are required. A list is written `[]`, a map `{}`. What breaks a rule is refused by `kubectl apply` with the
rule's sentence; `llmendpoint validate -f FILE` says the same without a cluster.

What you write is [spec](#spec); what the operator writes is [status](#status), whose conditions are in
[conditions.md](conditions.md).
"""
TABLE = "| field | type | default | bounds | meaning |\n|---|---|---|---|---|\n"
# A rule with oldSelf compares with what is stored, so that it is about changes.
CHANGES = "oldSelf"


def page() -> str:
    """The page in Markdown."""
    root = object_schema()
    name = root["properties"]["metadata"] | {"x-kubernetes-validations": root["x-kubernetes-validations"]}
    parts = [HEAD, "\n## metadata\n", *_rules({"properties": {}, **name}, "metadata")]
    for top in ("spec", "status"):
        parts += _sections(top, root["properties"][top], depth=2)
    return "".join(parts)


def _sections(path: str, node: Schema, depth: int) -> Iterator[str]:
    """The object at ``path`` and all objects inside, in the order of the schema."""
    yield f"\n{'#' * depth} {path}\n\n{_text(node['description'])}\n\n{TABLE}"
    required = node.get("required", [])
    for name, field in node["properties"].items():
        yield _row(path, name, field, required=name in required)
    yield from _rules(node, path)
    for name, field in node["properties"].items():
        inner, suffix = (field["items"], "[]") if field.get("type") == "array" else (field, "")
        if inner.get("properties"):
            described = inner | {"description": field["description"]}
            yield from _sections(f"{path}.{name}{suffix}", described, depth=3)


def _row(path: str, name: str, field: Schema, *, required: bool) -> str:
    shown = f"**`{name}`**" if required else f"`{name}`"
    return (
        f"| {shown} | {_type(f'{path}.{name}', field)} | {_default(field)} | {_bounds(field)} | "
        f"{_text(field['description'])} |\n"
    )


def _type(path: str, field: Schema) -> str:
    if "x-kubernetes-int-or-string" in field:
        return "quantity"
    if field.get("type") == "array":
        items = field["items"]
        return f"[object[]](#{_anchor(path)})" if items.get("properties") else f"{_type(path, items)}[]"
    if field.get("properties"):
        return f"[object](#{_anchor(path)})"
    if isinstance(values := field.get("additionalProperties"), Mapping):
        return f"{_type(path, values)}{{}}"
    return "time" if field.get("format") == "date-time" else str(field["type"])


def _anchor(path: str) -> str:
    """As Markdown makes it of the heading."""
    return re.sub(r"[^a-z]", "", path.lower())


def _default(field: Schema) -> str:
    default = field.get("default")
    if isinstance(default, dict):  # what its own fields have as default is in their table
        inner = field.get("properties", {})
        default = {name: value for name, value in default.items() if value != inner.get(name, {}).get("default")}
    if default in (None, [], {}, ""):
        return ""
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _bounds(field: Schema) -> str:
    found = []
    if "enum" in field:
        found.append(", ".join(f"`{value}`" for value in field["enum"]))
    match field:
        case {"minimum": low, "maximum": high}:
            found.append(f"{_number(low)} to {_number(high)}")
        case {"maximum": high}:
            found.append(f"at most {_number(high)}")
    if "maxLength" in field:
        least = f"{field['minLength']} to " if field.get("minLength") else "at most "
        found.append(f"{least}{_number(field['maxLength'])} characters")
    if "maxItems" in field:
        found.append(f"at most {field['maxItems']}")
    return "; ".join(found)


def _number(value: float) -> str:
    return f"{value:,.0f}" if math.isclose(value, round(value)) else f"{value:g}"


def _rules(node: Schema, path: str) -> Iterator[str]:
    """What is refused of the object and of its plain fields: patterns, and CEL rules as sentences with their code."""
    plain = {name: field for name, field in node["properties"].items() if not field.get("properties")}
    patterns = [(name, field["pattern"]) for name, field in plain.items() if "pattern" in field]
    rules = [
        (f"{path}.{name}".removesuffix("."), rule)
        for name, owner in {"": node, **plain}.items()
        for rule in owner.get("x-kubernetes-validations", [])
    ]
    if patterns or rules:
        yield "\nRefused, with these sentences:\n\n"
    yield from (f"- {name} should match `{pattern}`\n" for name, pattern in patterns)
    for _, rule in rules:
        when = "on a change: " if CHANGES in rule["rule"] else ""
        yield f"- {when}{_text(rule['message'])}\n"
    if rules:
        code = "\n".join(f"# {where}\n{rule['rule']}" for where, rule in rules)
        yield f'\n<details markdown="1"><summary>The rules in CEL</summary>\n\n```text\n{code}\n```\n\n</details>\n'


def _text(words: str) -> str:
    """Words in which Markdown and a table see nothing but words."""
    return html.escape(words, quote=False).replace("|", "\\|").replace("*", "\\*").replace("$", "&#36;")
