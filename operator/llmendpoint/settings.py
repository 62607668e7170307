"""The operator's settings, read from LLMENDPOINT_* environment variables; each default with its reason."""

import math
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from llmendpoint.manifests.common import ACTIVATOR_IMAGE, BATCH_IMAGE, FETCH_IMAGE, QUEUE_IMAGE, REDIS_IMAGE


class Settings(BaseSettings):
    """Everything an administrator can set."""

    model_config = SettingsConfigDict(env_prefix="LLMENDPOINT_", frozen=True)

    watch_namespaces: Annotated[tuple[str, ...], NoDecode] = ()
    """Namespaces to watch, comma-separated. Empty: all of them, which needs a ClusterRole."""

    tick_seconds: float = Field(10.0, gt=0)
    """Time between two readings of the engines. 10 s is the field's high-resolution period."""

    resync_seconds: float = Field(300.0, gt=0)
    """Time between two live listings. A watch can miss deletions; this is how long such a gap may last."""

    scrape_timeout_seconds: float = Field(3.0, gt=0)
    """A busy engine answers /metrics within 70 ms; one that needs seconds is as good as unknown."""

    workers: int = Field(32, ge=1)
    """Reconciles at a time: twice as many as writes at a time (cluster/client.py), because they read as well."""

    engine_images: dict[str, str] = {}
    """Image by engine type that replaces the operator's default, for a mirror or the engine simulator."""

    engine_image_override: bool = False
    """True uses engine_images even where the endpoint names an image. For rehearsals on clusters without GPUs."""

    activator_image: str = ACTIVATOR_IMAGE
    """Image that endpoints with minReplicas 0 hold requests with; the chart sets the operator's own."""

    queue_image: str = QUEUE_IMAGE
    """Image of what endpoints with spec.async take jobs with and work on them."""

    redis_image: str = REDIS_IMAGE
    """Image with a redis-server, Valkey or Redis, for endpoints with spec.async that name no Redis."""

    batch_image: str = BATCH_IMAGE
    """Image of the workers of batches."""

    fetch_image: str = FETCH_IMAGE
    """Image of what fetches models before engines start, for endpoints with model.cache.prefetch."""

    allow_privileged_pod_templates: bool = False
    """True lets engine.podTemplate ask for host paths, privileges, service accounts and the like: whoever may write an
    LLMEndpoint can then take over nodes. False refuses them, because that is more than most clusters mean to grant."""

    price_per_gpu_hour: float | None = Field(None, gt=0)
    """Price of one GPU for one hour where an endpoint gives none, in any currency. None: no cost is counted."""

    leader_election: bool = False
    """True: write only while this process holds the lease, which the chart sets. False: it is the only one, as at a
    terminal, where there is no namespace of its own to keep a lease in."""

    lease_namespace: str = "default"
    """Namespace of the lease; the chart sets the operator's own."""

    lease_name: str = "llmendpoint-operator"
    """Name of the lease. Operators that watch different namespaces need different ones; the chart sets the release."""

    lease_duration_seconds: int = Field(10, ge=3, le=60)
    """A standby takes over when the lease was not renewed for so long. With its looks and its start that is 15 s after
    the leader was killed at the latest; shorter, and a busy API server would depose leaders that live."""

    lease_renew_deadline_seconds: float = Field(8.0, gt=0)
    """A leader that has not renewed for so long stops. The 2 s to the duration are for writes that are on their way
    and for clocks that differ in speed; with renewals every 2 s an API server may be away for 6 s."""

    lease_retry_seconds: float = Field(1.0, gt=0)
    """Time between two looks of a standby, half the time between two renewals. A released lease is taken within it."""

    http_port: int = Field(8080, ge=1, le=65535)
    """Port of /healthz, /readyz and /metrics."""

    log_format: Literal["json", "console"] = "json"
    """JSON for machines; console for people at a terminal."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """info has a line for each change and each new hold; debug adds one for each endpoint at each tick."""

    @field_validator("watch_namespaces", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("lease_renew_deadline_seconds")
    @classmethod
    def _stops_in_time(cls, value: float, info: ValidationInfo) -> float:
        duration = info.data.get("lease_duration_seconds", math.inf)
        if value > 0.9 * duration:
            raise ValueError(f"must be at most 0.9 times LLMENDPOINT_LEASE_DURATION_SECONDS, {0.9 * duration:g}")
        return value

    @field_validator("lease_retry_seconds")
    @classmethod
    def _tries_more_than_once(cls, value: float, info: ValidationInfo) -> float:
        deadline = info.data.get("lease_renew_deadline_seconds", math.inf)
        if value > deadline / 4:
            raise ValueError(f"must be at most a quarter of LLMENDPOINT_LEASE_RENEW_DEADLINE_SECONDS, {deadline / 4:g}")
        return value
