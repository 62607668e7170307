"""The CustomResourceDefinition, derived from the API models: what the API server checks is what the code reads."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, NoDefault
from pydantic_core import core_schema

from llmendpoint.api import plain_yaml
from llmendpoint.api.base import cel
from llmendpoint.api.endpoint import MAX_NAME_LENGTH, EndpointSpec
from llmendpoint.api.names import GROUP, KIND, PLURAL, VERSION
from llmendpoint.api.status import EndpointStatus

Schema = dict[str, Any]

SINGULAR = "llmendpoint"
SHORT_NAME = "llme"

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


def object_schema() -> Schema:
    """The schema of a whole LLMEndpoint object."""
    return {
        "type": "object",
        "description": "One production LLM service: a model, the engine that serves it, a business service in front "
        "and a scaler that explains itself.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {
                "type": "string",
                "description": "Version of the schema of this object, for example llmendpoint.dev/v1alpha1.",
            },
            "kind": {"type": "string", "description": "Kind of this object: LLMEndpoint."},
            "metadata": {"type": "object"},
            "spec": structural(EndpointSpec),
            "status": structural(EndpointStatus),
        },
        **cel(
            (
                f"size(self.metadata.name) <= {MAX_NAME_LENGTH}",
                f"metadata.name must have at most {MAX_NAME_LENGTH} characters: the names of its Services and "
                "Deployments add to it and may have 63",
            ),
            (
                "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
                "metadata.name must be a DNS label that starts with a letter: lower-case letters, digits and '-', "
                "for example llama-8b",
            ),
        ),
    }


def _columns() -> list[dict[str, Any]]:
    ready = '.status.conditions[?(@.type=="Ready")]'
    return [
        _column("Model", ".status.model", "Model name that clients send."),
        _column("Engine", ".spec.engine.type", "Inference server."),
        _column("Ready", ".status.readyReplicas", "Engine replicas that are ready.", kind="integer"),
        _column("Replicas", ".status.replicas", "Engine replicas that exist.", kind="integer"),
        _column(
            "Desired",
            ".status.scaling.desiredReplicas",
            "Engine replicas that the scaler wants.",
            kind="integer",
        ),
        _column("Reason", f"{ready}.reason", "Why the endpoint is ready or not."),
        _column("Age", ".metadata.creationTimestamp", "Time since it was created.", kind="date"),
        _column("URL", ".status.url", "Where clients send requests inside the cluster.", priority=1),
        _column("Async", ".status.asyncURL", "Where clients send jobs inside the cluster.", priority=1),
        _column("Message", f"{ready}.message", "What happened and what to do.", priority=1),
    ]


def _column(name: str, path: str, description: str, *, kind: str = "string", priority: int = 0) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return {**column, "priority": priority} if priority else column


def crd() -> dict[str, Any]:
    """The CustomResourceDefinition as the API server reads it."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": SINGULAR,
                "shortNames": [SHORT_NAME],
                "categories": [SINGULAR],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": _columns(),
                    "schema": {"openAPIV3Schema": object_schema()},
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.replicas",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                }
            ],
        },
    }


def to_yaml() -> str:
    """The CustomResourceDefinition as YAML, keys in the order in which they are made."""
    return plain_yaml.dump(crd())
