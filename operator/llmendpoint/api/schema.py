"""The CustomResourceDefinitions, derived from the API models: what the API server checks is what the code reads."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from llmendpoint.api import names, plain_yaml
from llmendpoint.api.base import cel
from llmendpoint.api.batch import BatchSpec, BatchStatus
from llmendpoint.api.endpoint import MAX_NAME_LENGTH, EndpointSpec
from llmendpoint.api.status import EndpointStatus
from llmendpoint.api.structural import Schema, structural


@dataclass(frozen=True)
class Definition:
    """One kind of the API group."""

    kind: str
    plural: str
    short_name: str
    description: str
    spec: type[BaseModel]
    status: type[BaseModel]
    columns: tuple[Schema, ...]
    """What ``kubectl get`` shows."""
    lengthened: str
    """Whose names add to that of the object."""
    subresources: Schema

    @property
    def name(self) -> str:
        """Of the CustomResourceDefinition."""
        return f"{self.plural}.{names.GROUP}"


def object_schema(definition: Definition) -> Schema:
    """The schema of a whole object."""
    return {
        "type": "object",
        "description": definition.description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {
                "type": "string",
                "description": f"Version of the schema of this object, for example {names.API_VERSION}.",
            },
            "kind": {"type": "string", "description": f"Kind of this object: {definition.kind}."},
            "metadata": {"type": "object"},
            "spec": structural(definition.spec),
            "status": structural(definition.status),
        },
        **cel(
            (
                f"size(self.metadata.name) <= {MAX_NAME_LENGTH}",
                f"metadata.name must have at most {MAX_NAME_LENGTH} characters: the names of its "
                f"{definition.lengthened} add to it and may have 63",
            ),
            (
                "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
                "metadata.name must be a DNS label that starts with a letter: lower-case letters, digits and '-', "
                "for example llama-8b",
            ),
        ),
    }


def crd(definition: Definition) -> dict[str, Any]:
    """The CustomResourceDefinition as the API server reads it."""
    singular = definition.kind.lower()
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": definition.name},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": definition.kind,
                "listKind": f"{definition.kind}List",
                "plural": definition.plural,
                "singular": singular,
                "shortNames": [definition.short_name],
                "categories": [singular],
            },
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": list(definition.columns),
                    "schema": {"openAPIV3Schema": object_schema(definition)},
                    "subresources": definition.subresources,
                }
            ],
        },
    }


def to_yaml(definition: Definition) -> str:
    """The CustomResourceDefinition as YAML, keys in the order in which they are made."""
    return plain_yaml.dump(crd(definition))


def _column(name: str, path: str, description: str, *, kind: str = "string", priority: int = 0) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return {**column, "priority": priority} if priority else column


_READY = '.status.conditions[?(@.type=="Ready")]'
_PROGRESSING = '.status.conditions[?(@.type=="Progressing")]'

ENDPOINT = Definition(
    kind=names.KIND,
    plural=names.PLURAL,
    short_name="llme",
    description="One production LLM service: a model, the engine that serves it, a business service in front "
    "and a scaler that explains itself.",
    spec=EndpointSpec,
    status=EndpointStatus,
    columns=(
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
        _column("Reason", f"{_READY}.reason", "Why the endpoint is ready or not."),
        _column("Age", ".metadata.creationTimestamp", "Time since it was created.", kind="date"),
        _column("URL", ".status.url", "Where clients send requests.", priority=1),
        _column("Async", ".status.asyncURL", "Where clients send jobs inside the cluster.", priority=1),
        _column("Message", f"{_READY}.message", "What happened and what to do.", priority=1),
    ),
    lengthened="Services and Deployments",
    subresources={
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    },
)
BATCH = Definition(
    kind=names.BATCH_KIND,
    plural=names.BATCH_PLURAL,
    short_name="llmb",
    description="A file of requests, each answered once by an LLMEndpoint: OpenAI batch JSONL in, JSONL out.",
    spec=BatchSpec,
    status=BatchStatus,
    columns=(
        _column("Endpoint", ".status.endpoint", "LLMEndpoint that answers."),
        _column("State", f"{_PROGRESSING}.reason", "What it does, or why it does not."),
        _column("Lines", ".status.lines", "Lines of the input.", kind="integer"),
        _column("Completed", ".status.completed", "Lines that were answered.", kind="integer"),
        _column("Failed", ".status.failed", "Lines without an answer, in the error file.", kind="integer"),
        _column("Percent", ".status.percent", "Lines that are done, in per cent.", kind="integer"),
        _column("ETA", ".status.estimatedCompletion", "When it should be done at the present pace."),
        _column("Age", ".metadata.creationTimestamp", "Time since it was created.", kind="date"),
        _column("Lines/s", ".status.linesPerSecond", "The present pace.", kind="number", priority=1),
        _column("GPU-hours", ".status.usage.gpuHours", "GPU-hours of its endpoint.", kind="number", priority=1),
        _column("Cost", ".status.usage.cost", "Cost of these.", kind="number", priority=1),
        _column("Message", f"{_PROGRESSING}.message", "What happened and what to do.", priority=1),
    ),
    lengthened="pods, and with spec.endpoint of its Services and Deployments,",
    subresources={"status": {}},
)
DEFINITIONS = (ENDPOINT, BATCH)
