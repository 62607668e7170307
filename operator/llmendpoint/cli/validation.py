"""The API server's checks without an API server: the CRD's schema and its CEL rules, in the API server's words."""

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

import cel
from jsonschema import Draft4Validator, ValidationError, validators

from llmendpoint.api import names, schema

Schema = Mapping[str, Any]
CEL_WORDS = frozenset({
    "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop",
    "namespace", "null", "package", "return", "true", "var", "void", "while",
})  # fmt: skip


def problems(body: Mapping[str, Any]) -> list[str]:
    """What the API server would refuse of an object of one of our kinds; empty for a good one.

    As there, CEL rules are only looked at where the schema holds, and rules that compare with an object's earlier
    state are not part of its creation.
    """
    if body.get("apiVersion") != f"{names.GROUP}/{names.VERSION}":
        return [f"apiVersion: Unsupported value: {body.get('apiVersion')!r}: must be {names.GROUP}/{names.VERSION}"]
    crd = schema.object_schema(next(entry for entry in schema.DEFINITIONS if entry.kind == body["kind"]))
    completed = _completed(crd, copy.deepcopy(dict(body)))
    errors = [*_unknown_fields(crd, completed, ""), *_sentences(_STRUCTURE, crd, completed)]
    return sorted(set(errors or _sentences(_RULES, crd, completed)))


def _completed(node: Schema, value: Any) -> Any:
    """Add the defaults, drop nulls, and make whole numbers floating where the schema has them so, as CEL needs."""
    if isinstance(value, dict):
        properties = node.get("properties", {})
        present = {name: child for name, child in value.items() if child is not None}
        defaults = {name: copy.deepcopy(child["default"]) for name, child in properties.items() if "default" in child}
        inner = node.get("additionalProperties") or {}
        return {name: _completed(properties.get(name, inner), child) for name, child in {**defaults, **present}.items()}
    if isinstance(value, list):
        return [_completed(node.get("items", {}), item) for item in value]
    return float(value) if node.get("type") == "number" and type(value) is int else value


def _unknown_fields(node: Schema, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown_fields(node.get("items", {}), item, f"{path}[{index}]")
    properties = node.get("properties")
    if not isinstance(value, dict) or properties is None or node.get("x-kubernetes-preserve-unknown-fields"):
        return
    for name, child in value.items():
        inside = f"{path}.{name}".removeprefix(".")
        if name not in properties:
            yield f'unknown field "{inside}"'
        else:
            yield from _unknown_fields(properties[name], child, inside)


def _sentences(validator: Any, crd: Schema, body: Any) -> list[str]:
    errors = validator(crd, format_checker=validator.FORMAT_CHECKER).iter_errors(body)
    return [f"{_path(error)}: {_said(error)}" for error in errors]


def _path(error: ValidationError) -> str:
    steps: list[str | int] = list(error.absolute_path)
    if error.validator == "required":
        needed: Any = error.validator_value
        given: Any = error.instance
        steps.append(next(name for name in needed if name not in given))
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".") or "<nil>"


def _said(error: ValidationError) -> str:
    """The API server's wording of a schema error."""
    limit: Any = error.validator_value
    constraints: Any = error.schema
    value: Any = error.instance
    match error.validator:
        case "required":
            return "Required value"
        case "enum":
            return f"Unsupported value: {json.dumps(value)}: supported values: " + ", ".join(map(json.dumps, limit))
        case "x-kubernetes-list-map-keys" | "x-kubernetes-list-type":
            return f"Duplicate value: {error.message}"
        case "x-kubernetes-validations":
            return f"Invalid value: {error.message}"
    should = {
        "type": f"must be of type {limit}",
        "minimum": f"should be greater than {'' if constraints.get('exclusiveMinimum') else 'or equal to '}{limit}",
        "maximum": f"should be less than {'' if constraints.get('exclusiveMaximum') else 'or equal to '}{limit}",
        "minLength": f"should be at least {limit} chars long",
        "maxLength": f"may not be more than {limit} chars long",
        "minItems": f"should have at least {limit} items",
        "maxItems": f"should have at most {limit} items",
        "pattern": f"should match '{limit}'",
    }.get(str(error.validator), error.message)
    return f"Invalid value: {json.dumps(value)}: {_path(error)} in body {should}"


def _unique_keys(_validator: Any, keys: list[str], value: Any, _schema: Schema) -> Iterator[ValidationError]:
    seen = set()
    for item in value if isinstance(value, list) else ():
        found = {key: item.get(key) for key in keys}
        if (text := json.dumps(found)) in seen:
            yield ValidationError(text)
        seen.add(text)


def _unique_items(_validator: Any, kind: str, value: Any, _schema: Schema) -> Iterator[ValidationError]:
    if kind == "set" and isinstance(value, list):
        for index, item in enumerate(value):
            if item in value[:index]:
                yield ValidationError(json.dumps(item), path=[index])


def _rules(_validator: Any, rules: list[dict[str, str]], value: Any, _schema: Schema) -> Iterator[ValidationError]:
    for rule in rules:
        if "oldSelf" not in rule["rule"] and not cel.evaluate(rule["rule"], _context(value)):
            yield ValidationError(rule["message"])


def _context(value: Any) -> cel.Context:
    """The object, and the functions of the API server's string library that the rules use."""
    context = cel.Context({"self": _escaped(value)})
    context.add_function("split", str.split)
    context.add_function("replace", str.replace)
    return context


def _escaped(value: Any) -> Any:
    """Fields whose names are words of CEL's own, by the names that the API server gives them in rules."""
    if isinstance(value, dict):
        return {f"__{key}__" if key in CEL_WORDS else key: _escaped(child) for key, child in value.items()}
    return [_escaped(item) for item in value] if isinstance(value, list) else value


_STRUCTURE = validators.create(
    meta_schema=Draft4Validator.META_SCHEMA,
    validators={
        **Draft4Validator.VALIDATORS,
        "x-kubernetes-list-map-keys": _unique_keys,
        "x-kubernetes-list-type": _unique_items,
    },
)
# With the rules alone: their keywords are looked for wherever these lead.
_RULES = validators.create(
    meta_schema=Draft4Validator.META_SCHEMA,
    validators={
        "x-kubernetes-validations": _rules,
        **{name: Draft4Validator.VALIDATORS[name] for name in ("properties", "items", "additionalProperties")},
    },
)
