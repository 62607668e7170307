"""Jobs that are taken now and answered later: spec.async."""

from typing import Annotated

from pydantic import Field

from llmendpoint.api.base import ApiModel, cel
from llmendpoint.api.serving import SecretKeyRef

LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
# No address: what a tenant names is asked from inside of the cluster.
HOST = f"^([*][.])?({LABEL}[.])+[a-z]([-a-z0-9]*[a-z0-9])?(:[1-9][0-9]{{0,4}})?$"


Host = Annotated[
    str,
    Field(
        max_length=253,
        json_schema_extra=cel(
            (
                f"self.matches('{HOST}')",
                "async.webhook.allowedHosts must be names in lower case with a dot, for example hooks.example.com, or "
                "*.example.com for all below one, with :8080 for another port than that of http or https; no addresses",
            )
        ),
    ),
]


class Redis(ApiModel):
    """The Redis or Valkey server that keeps the jobs."""

    url_secret_ref: SecretKeyRef = Field(
        description="Its URL, for example rediss://user:password@redis.example:6379/0. It should write to a disk "
        "(appendonly yes) and refuse what it has no room for (maxmemory-policy noeviction)."
    )


class Workers(ApiModel):
    """The pods that take jobs to the engine."""

    replicas: int = Field(2, description="How many pods.", ge=1, le=100)
    concurrency: int = Field(
        64,
        description="Most jobs that one of them has in the engine at a time. All of them together should fill the "
        "batches of maxReplicas.",
        ge=1,
        le=1024,
    )


class Webhook(ApiModel):
    """Sends a job's result to the URL that its client names in the header Webhook-URL."""

    secret_ref: SecretKeyRef = Field(
        description="Key that signs the messages, whsec_ and 24 to 64 bytes in base64, as Standard Webhooks has it."
    )
    allowed_hosts: list[Host] = Field(
        description="Hosts that may be named: a name, or *.example.com for all below one, with :8080 for another port "
        "than that of http or https. Others are refused.",
        min_length=1,
        max_length=64,
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )


class Asynchronous(ApiModel):
    """An API beside the engine's that takes a request at once and gives its answer later."""

    redis: Redis | None = Field(
        None,
        description="Where jobs are kept. Left out, the operator runs a small Redis for development: it loses all "
        "jobs with its pod.",
    )
    max_queued: int = Field(
        100_000,
        description="Most jobs that wait. More are answered 429 with Retry-After.",
        ge=1,
        le=10_000_000,
    )
    max_attempts: int = Field(3, description="How often a job is tried before it counts as failed.", ge=1, le=20)
    timeout_seconds: int = Field(
        600,
        description="Longest time of one try. A worker that is told to stop has as long to finish what it has.",
        ge=1,
        le=7200,
    )
    result_ttl_seconds: int = Field(
        86_400,
        alias="resultTTLSeconds",
        description="Seconds that a result can be asked for, from the end of its job.",
        ge=60,
        le=2_592_000,
    )
    workers: Workers = Field(Workers(), description="What takes jobs to the engine.")
    backlog_per_replica: int = Field(
        32,
        description="Jobs for each replica, waiting and in work, that the scaler aims at; "
        "ApproximateBacklogSizePerInstance of SageMaker.",
        ge=1,
        le=1_000_000,
    )
    oldest_seconds: int = Field(
        300,
        description="No job should wait longer. While one does, each scale-out orders one replica more than there are.",
        ge=1,
        le=604_800,
    )
    webhook: Webhook | None = Field(None, description="Sends results to clients. Left out, they ask for them.")
