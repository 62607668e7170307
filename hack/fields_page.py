"""docs/fields.md and docs/batch-fields.md: every field as tables, made of the schemas that the API server checks."""

import html
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from llmendpoint.api.schema import BATCH, ENDPOINT, Definition, object_schema

Schema = Mapping[str, Any]

MADE = "<!-- Made by `make generate` from operator/llmendpoint/api; edit that. -->\n"
READING = """\
**Bold** fields are required. A list is written `[]`, a map `{}`. What breaks a rule is refused by `kubectl apply` with
the rule's sentence; `llmendpoint validate -f FILE` says the same without a cluster.
"""
HEADS = {
    ENDPOINT.kind: f"""\
{MADE}# Every field

One table for each object inside an `LLMEndpoint`; `kubectl explain llmendpoint.spec.scaling` shows the same.
{READING}
What you write is [spec](#spec); what the operator writes is [status](#status), whose conditions are in
[conditions.md](conditions.md). Those of an `LLMBatch` are in [batch-fields.md](batch-fields.md).
""",
    BATCH.kind: f"""\
{MADE}# Every field of a batch

One table for each object inside an `LLMBatch`; `kubectl explain llmbatch.spec` shows the same.
{READING}
[Batches](batch.md) says how they work, [conditions.md](conditions.md#batches) what their conditions mean.
""",
}
ELSEWHERE = {(BATCH.kind, "spec.endpoint"): "fields.md#spec"}
"""Objects whose fields are on another page."""
TABLE = "| field | type | default | bounds | meaning |\n|---|---|---|---|---|\n"
# A rule with oldSelf compares with what is stored, so that it is about changes.
CHANGES = "oldSelf"


def page(definition: Definition) -> str:
    """The page in Markdown."""
    root = object_schema(definition)
    name = root["properties"]["metadata"] | {"x-kubernetes-validations": root["x-kubernetes-validations"]}
    links = {path: link for (kind, path), link in ELSEWHERE.items() if kind == definition.kind}
    parts = [HEADS[definition.kind], "\n## metadata\n", *_rules({"properties": {}, **name}, "metadata")]
    for top in ("spec", "status"):
        parts += _sections(top, root["properties"][top], links, depth=2)
    return "".join(parts)


def _sections(path: str, node: Schema, links: Mapping[str, str], depth: int) -> Iterator[str]:
    """The object at ``path`` and all objects inside, in the order of the schema."""
    yield f"\n{'#' * depth} {path}\n\n{_text(node['description'])}\n\n{TABLE}"
    required = node.get("required", [])
    for name, field in node["properties"].items():
        yield _row(path, name, field, links, required=name in required)
    yield from _rules(node, path)
    for name, field in node["properties"].items():
        inner, suffix = (field["items"], "[]") if field.get("type") == "array" else (field, "")
        if inner.get("properties") and f"{path}.{name}" not in links:
            described = inner | {"description": field["description"]}
            yield from _sections(f"{path}.{name}{suffix}", described, links, depth=3)


def _row(path: str, name: str, field: Schema, links: Mapping[str, str], *, required: bool) -> str:
    shown, inside = f"**`{name}`**" if required else f"`{name}`", f"{path}.{name}"
    kind = f"[object]({links[inside]})" if inside in links else _type(inside, field)
    return f"| {shown} | {kind} | {_default(field)} | {_bounds(field)} | {_text(field['description'])} |\n"


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
    return re.sub(r"[^a-z0-9]", "", path.lower())


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
