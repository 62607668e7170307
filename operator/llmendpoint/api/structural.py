"""A model's structural schema, as the API server wants schemas: made of what pydantic says of the model."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, NoDefault
from pydantic_core import core_schema

Schema = dict[str, Any]

# JSON Schema keywords that say nothing to the API server, or that it refuses.
_DROPPED = frozenset({"title", "examples", "discriminator", "$defs"})
# Keywords whose value maps names to schemas, and those whose value is a schema.
_SCHEMAS_BY_NAME = frozenset({"properties"})
_SCHEMA_LISTS = frozenset({"anyOf", "oneOf", "allOf"})
_SCHEMA_VALUES = frozenset({"items", "additionalProperties", "not"})


class _CrdDialect(GenerateJsonSchema):
    """Pydantic's JSON Schema with the CRD reading of optional fields and defaults."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """An optional field is one that may be absent; the API server drops nulls."""
        return self.generate_inner(schema["schema"])

    def get_default_value(self, schema: core_schema.WithDefaultSchema) -> Any:
        """A default made by a factory counts as well; None means that there is none."""
        factory = schema.get("default_factory")
        if factory in (list, dict):
            return factory()
        default = super().get_default_value(schema)
        return NoDefault if default is None else default

    def encode_default(self, dft: Any) -> Any:
        """Write a default object out in full: the API server checks its CEL rules before it adds inner defaults."""
        if isinstance(dft, BaseModel):
            return dft.model_dump(mode="json", by_alias=True, exclude_none=True)
        return super().encode_default(dft)


def structural(model: type[BaseModel]) -> Schema:
    """A model's structural schema: without references, and every node has a type."""
    raw = model.model_json_schema(by_alias=True, schema_generator=_CrdDialect, mode="validation")
    return _structural_node(raw, raw.get("$defs", {}))


def _structural_node(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    node = _resolved(node, definitions)
    made: Schema = {}
    for keyword, value in node.items():
        if keyword in _DROPPED:
            continue
        if keyword in _SCHEMAS_BY_NAME:
            made[keyword] = {name: _structural_node(child, definitions) for name, child in value.items()}
        elif keyword in _SCHEMA_LISTS:
            made[keyword] = [_structural_node(child, definitions) for child in value]
        elif keyword in _SCHEMA_VALUES and isinstance(value, Mapping):
            made[keyword] = _structural_node(value, definitions)
        else:
            made[keyword] = value
    return _preserving(made)


def _resolved(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put a reference's target in its place; what stands beside the reference wins."""
    if "$ref" not in node:
        return node
    target = definitions[node["$ref"].rpartition("/")[2]]
    return {**target, **{keyword: value for keyword, value in node.items() if keyword != "$ref"}}


def _preserving(node: Schema) -> Schema:
    """Say in the CRD's words that an object may have any fields."""
    if node.get("additionalProperties") is True:
        del node["additionalProperties"]
        node["x-kubernetes-preserve-unknown-fields"] = True
    return node
