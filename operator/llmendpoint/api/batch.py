"""The LLMBatch object: a file of requests that are answered once, and how far that is."""

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, Field

from llmendpoint.api.base import ApiModel, cel, identity_of, map_list
from llmendpoint.api.endpoint import EndpointSpec
from llmendpoint.api.s3 import DNS_LABEL, S3
from llmendpoint.api.sources import Source
from llmendpoint.api.status import Condition

# The figures of each are in the status.
MOST_SHARDS = 256
_URI = "self.matches('^(pvc|s3)://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/[^/]+)+$') && !self.matches('(^|/)[.][.]?(/|$)')"


def _uri_rule(field: str, example: str) -> dict[str, Any]:
    return cel((_URI, f"{field} must be pvc://claim/path or s3://bucket/key, without '..', for example {example}"))


class EndpointRef(ApiModel):
    """An LLMEndpoint of the batch's namespace."""

    name: str = Field(description="Its name.", pattern=DNS_LABEL, max_length=50)


class BatchInput(ApiModel):
    """Where the requests are."""

    uri: str = Field(
        description="A file of OpenAI batch JSONL: pvc://claim/path.jsonl or s3://bucket/key.jsonl.",
        max_length=1024,
        json_schema_extra=_uri_rule("input.uri", "pvc://prompts/march.jsonl"),
    )

    @property
    def place(self) -> Source:
        """The URI, taken apart."""
        return Source.of(self.uri)


class BatchOutput(ApiModel):
    """Where the answers go."""

    uri: str = Field(
        description="A folder of the batch's own for output.jsonl and errors.jsonl: pvc://claim/folder or "
        "s3://bucket/prefix. A batch goes on from what is done there.",
        max_length=1024,
        json_schema_extra=_uri_rule("output.uri", "pvc://answers/march"),
    )

    @property
    def place(self) -> Source:
        """The URI, taken apart."""
        return Source.of(self.uri)


_KEPT = ("input", "output", "shards", "concurrency", "maxAttempts", "timeoutSeconds")
_KEPT_IF_GIVEN = ("endpointRef", "endpoint", "s3", "model")
_UNCHANGED = " && ".join(
    [
        *(f"self.{field} == oldSelf.{field}" for field in _KEPT),
        *(
            f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
            for field in _KEPT_IF_GIVEN
        ),
    ]
)


class BatchSpec(ApiModel):
    """A file of requests, who answers them, and where the answers go."""

    endpoint_ref: EndpointRef | None = Field(
        None, description="The LLMEndpoint that answers, where there is one already. It is shared with its other users."
    )
    endpoint: EndpointSpec | None = Field(
        None,
        description="Engines of its own: the spec of an LLMEndpoint that has the batch's name, is made when the batch "
        "begins and removed when it is done or suspended. Give endpointRef or endpoint.",
    )
    input: BatchInput = Field(description="Where the requests are.")
    output: BatchOutput = Field(description="Where the answers go.")
    s3: S3 | None = Field(None, description="How s3:// is reached.")
    model: str | None = Field(
        None,
        description="Model name that takes the place of the one in each line, for files written for another model. "
        "Left out, the lines say it.",
        min_length=1,
        max_length=253,
    )
    shards: int = Field(
        4, description="Parts of the input that are worked on at the same time, each by one pod.", ge=1, le=MOST_SHARDS
    )
    concurrency: int = Field(32, description="Requests of a shard that are under way at the same time.", ge=1, le=4096)
    max_attempts: int = Field(3, description="How often a line is tried before it goes to the errors.", ge=1, le=100)
    timeout_seconds: int = Field(600, description="Seconds that one try may take.", ge=1, le=86400)
    suspend: bool = Field(
        False, description="Stop: pods and own engines go, what is done stays. false goes on from there."
    )
    ttl_seconds_after_finished: int | None = Field(
        None,
        description="Seconds after its end when the batch removes itself; it stays when left out. The files stay.",
        ge=0,
        le=315_360_000,
    )

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "has(self.endpointRef) != has(self.endpoint)",
                "exactly one of endpointRef and endpoint must be given: the name of an LLMEndpoint that is there, or "
                "the spec of one that is made for the batch",
            ),
            (
                "!has(self.endpoint) || !has(self.endpoint.replicas) || !has(self.endpoint.scaling) || "
                "self.endpoint.scaling.mode != 'Active'",
                "endpoint.replicas can not be set while endpoint.scaling.mode is Active, where the scaler owns the "
                "count: leave it out",
            ),
            (
                "!self.input.uri.startsWith(self.output.uri + '/')",
                "input.uri must not lie in the folder output.uri, where files are written over: name another folder",
            ),
            (
                _UNCHANGED,
                "of a batch only suspend and ttlSecondsAfterFinished can be changed: delete it and create it anew; "
                "with the same input, output, shards and model it goes on from what is done",
            ),
        )
    )

    @property
    def is_own(self) -> bool:
        """Whether the endpoint is the batch's own."""
        return self.endpoint is not None


class ShardStatus(ApiModel):
    """How far one shard is."""

    shard: int = Field(description="Its number, from 0 on.")
    done: bool = Field(False, description="Whether all its lines are done.")
    lines: int | None = Field(None, description="Lines of the shard, once they were counted.")
    completed: int = Field(0, description="Lines that were answered.")
    failed: int = Field(0, description="Lines without an answer.")
    prompt_tokens: int = Field(0, description="Tokens of the requests.")
    completion_tokens: int = Field(0, description="Tokens of the answers.")
    lines_resumed: int = Field(0, description="Lines that a worker found done when it began.")


class Counted(ApiModel):
    """Up to where an endpoint's usage was counted."""

    uid: str = Field(description="Uid of the endpoint.")
    gpu_hours: float = Field(description="Its GPU-hours.")
    cost: float | None = Field(None, description="Their cost.")


class BatchUsage(ApiModel):
    """GPU-hours of the endpoint while the batch works. With endpointRef others may have used them as well."""

    gpu_hours: float = Field(description="GPU-hours.")
    cost: float | None = Field(None, description="Their cost, where there is a price per GPU-hour.")
    counted: Counted = Field(description="Up to where they were counted; the operator goes on from there.")


class BatchStatus(ApiModel):
    """What the operator last saw and did."""

    observed_generation: int | None = Field(None, description="metadata.generation that this status is about.")
    endpoint: str | None = Field(None, description="LLMEndpoint that answers.")
    conditions: list[Condition] = Field(
        default_factory=list,
        description="Complete, Failed and Suspended, as a Job has them, and Progressing.",
        json_schema_extra=map_list("type"),
    )
    start_time: str | None = Field(
        None, description="When workers first began.", json_schema_extra={"format": "date-time"}
    )
    completion_time: str | None = Field(
        None, description="When it ended, well or not.", json_schema_extra={"format": "date-time"}
    )
    estimated_completion: str | None = Field(
        None, description="When it should be done at the present pace.", json_schema_extra={"format": "date-time"}
    )
    lines: int | None = Field(None, description="Lines of the input, once all shards have counted theirs.")
    completed: int = Field(0, description="Lines that were answered.")
    failed: int = Field(0, description="Lines without an answer: errors.jsonl says why.")
    percent: int | None = Field(None, description="Lines that are done, in per cent.")
    prompt_tokens: int = Field(0, description="Tokens of the requests.")
    completion_tokens: int = Field(0, description="Tokens of the answers.")
    lines_resumed: int = Field(0, description="Lines that workers found done when they began: asked once, not again.")
    lines_per_second: float | None = Field(None, description="The present pace of all shards.")
    usage: BatchUsage | None = Field(
        None, description="GPU-hours of the endpoint while the batch works, and their cost."
    )
    shards: list[ShardStatus] = Field(
        default_factory=list, description="How far each shard is.", json_schema_extra=map_list("shard")
    )


class Batch(ApiModel):
    """One LLMBatch as read from the API server."""

    name: str
    namespace: str
    uid: str
    generation: int
    spec: BatchSpec
    status: BatchStatus = BatchStatus()

    @classmethod
    def from_object(cls, body: Mapping[str, Any]) -> "Batch":
        """Read an object as the API server returns it.

        Raises:
            pydantic.ValidationError: the object breaks the schema, as one stored under an older CRD may.
        """
        return cls(
            **identity_of(body),
            spec=BatchSpec.model_validate(body.get("spec") or {}),
            status=BatchStatus.model_validate(body.get("status") or {}),
        )

    @property
    def endpoint_name(self) -> str:
        """Name of the LLMEndpoint that answers."""
        return self.spec.endpoint_ref.name if self.spec.endpoint_ref else self.name
