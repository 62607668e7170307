"""What the operator reports: status, its conditions and the scaler's decision record."""

from typing import Any, Literal

from pydantic import Field

from llmendpoint.api.base import ApiModel, atomic_list, map_list


class Condition(ApiModel):
    """A standard Kubernetes condition."""

    type: str = Field(description="What it is about, in one word.", max_length=316)
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: str = Field(description="The reason in one CamelCase word.", max_length=1024)
    message: str = Field(description="What happened and what to do.", max_length=32768)
    observed_generation: int | None = Field(None, description="metadata.generation that this condition is about.")
    last_transition_time: str = Field(
        description="When status last changed.", json_schema_extra={"format": "date-time"}
    )


class ColdStart(ApiModel):
    """How long replicas of this endpoint take from creation to ready, learned from the last ones."""

    p50: float = Field(description="Median, in seconds.")
    p90: float = Field(description="90th percentile, in seconds.")
    samples: int = Field(description="How many starts were seen.")


class Clamp(ApiModel):
    """One rule that was applied to the raw desire, in order."""

    name: str = Field(description="Name of the rule.")
    before: int = Field(description="Replicas before the rule.")
    after: int = Field(description="Replicas after it.")
    detail: str | None = Field(None, description="Why it changed the count.")


class DecisionRecord(ApiModel):
    """One decision of the scaler with all that is needed to redo it by hand."""

    time: str = Field(description="When it was taken.", json_schema_extra={"format": "date-time"})
    sentence: str = Field(description="The decision in one sentence.")
    reason: str = Field(description="Outcome in one word, for example ScaleOut, ScaleIn, Hold, MetricsUnknown.")
    current: int = Field(description="Replicas wanted before the decision.")
    raw: int = Field(description="Replicas that the policy asked for, before any clamp.")
    desired: int = Field(description="Replicas wanted after the decision.")
    inputs: dict[str, Any] = Field(
        default_factory=dict,
        description="The readings that went in.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )
    terms: dict[str, Any] = Field(
        default_factory=dict,
        description="Intermediate numbers of the formula.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )
    clamps: list[Clamp] = Field(
        default_factory=list, description="Rules applied, in order.", json_schema_extra=atomic_list()
    )
    held_by: str | None = Field(None, description="The rule that holds the count, if one does.")
    held_until: str | None = Field(None, description="When that rule ends.", json_schema_extra={"format": "date-time"})
    expected_ready_time: str | None = Field(
        None, description="When ordered replicas should be ready.", json_schema_extra={"format": "date-time"}
    )


class ScaleChange(ApiModel):
    """One change of the replica count."""

    time: str = Field(description="When.", json_schema_extra={"format": "date-time"})
    from_replicas: int = Field(description="Replicas before.")
    to_replicas: int = Field(description="Replicas after.")
    sentence: str = Field(description="Why.")


class ScalingStatus(ApiModel):
    """What the scaler wants, why, and all it must remember over a restart."""

    desired_replicas: int = Field(description="Replicas that the scaler wants.")
    last_scale_out_time: str | None = Field(
        None, description="When replicas were last added.", json_schema_extra={"format": "date-time"}
    )
    last_scale_in_time: str | None = Field(
        None, description="When replicas were last removed.", json_schema_extra={"format": "date-time"}
    )
    cold_start_seconds: ColdStart | None = Field(None, description="Learned time from pod creation to ready.")
    decision: DecisionRecord | None = Field(None, description="The last decision whose outcome or reason was new.")
    history: list[ScaleChange] = Field(
        default_factory=list,
        description="The last 10 changes, newest first.",
        json_schema_extra=atomic_list(),
    )
    state: dict[str, Any] = Field(
        default_factory=dict,
        description="The scaler's memory: cooldowns, hold window, learned rates. Not meant for people.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )


class BusinessStatus(ApiModel):
    """State of the business service."""

    replicas: int = Field(0, description="Pods that exist.")
    ready_replicas: int = Field(0, description="Pods that are ready.")


class DryRunUsage(ApiModel):
    """What the scaler would have used since scaling.mode became DryRun, against what ran."""

    since: str = Field(description="When counting began.", json_schema_extra={"format": "date-time"})
    gpus: int = Field(description="GPUs that the replicas it wants would hold.")
    gpu_hours: float = Field(description="GPU-hours that the scaler would have used.")
    actual_gpu_hours: float = Field(alias="actualGPUHours", description="GPU-hours that were used meanwhile.")
    cost: float | None = Field(None, description="Cost of gpuHours.")
    actual_cost: float | None = Field(None, description="Cost of actualGPUHours.")
    saved_cost: float | None = Field(None, description="actualCost less cost; negative where the scaler costs more.")


class Usage(ApiModel):
    """GPUs that the engine's pods hold on nodes, and what they cost.

    To know the figures now, count on: gpuHours + gpus x time since asOf.
    """

    since: str = Field(description="When counting began.", json_schema_extra={"format": "date-time"})
    as_of: str = Field(description="Time of these figures.", json_schema_extra={"format": "date-time"})
    gpus: int = Field(description="GPUs held since then.")
    gpu_hours: float = Field(description="GPU-hours until then.")
    cost: float | None = Field(None, description="Cost until then, counted while there is a price per GPU-hour.")
    dry_run: DryRunUsage | None = Field(None, description="What mode DryRun would have used.")


class ModelCacheStatus(ApiModel):
    """How far the Job is that fills the cache volume."""

    state: Literal["Pending", "Fetching", "Cached", "Failed"] = Field(
        description="Pending until its pod runs; the condition ModelCached says more."
    )
    job: str = Field(description="Name of the Job.")
    bytes_done: int | None = Field(None, description="Bytes on the volume.")
    bytes_total: int | None = Field(None, description="Bytes of all files; absent until they are listed.")
    files_done: int | None = Field(None, description="Files on the volume.")
    files_total: int | None = Field(None, description="All files; absent until they are listed.")


class AdapterStatus(ApiModel):
    """One LoRA adapter, in the replicas together."""

    name: str = Field(description="Its name in spec.model.adapters.")
    source: str = Field(description="Where its files are from.")
    model: str = Field(description="Model name that clients send to ask for it.")
    state: Literal["Loaded", "Loading", "Failed", "Unloading"] = Field(
        description="Loaded: every ready replica serves it. Loading: it is on its way to some. Failed: some could not "
        "load it. Unloading: it was taken out of the spec, and some have it still."
    )
    ready_replicas: int = Field(0, description="Ready replicas that serve it.")
    message: str | None = Field(None, description="What it waits for, or what went wrong.", max_length=1024)


class EndpointStatus(ApiModel):
    """What the operator last saw and did."""

    observed_generation: int | None = Field(None, description="metadata.generation that this status is about.")
    replicas: int = Field(0, description="Engine replicas that exist.")
    ready_replicas: int = Field(0, description="Engine replicas that are ready.")
    selector: str | None = Field(None, description="Label selector of the engine pods, for the scale subresource.")
    url: str | None = Field(
        None,
        description="Where clients send requests: a host name of spec.gateway once a Gateway leads there, else the "
        "Service.",
    )
    async_url: str | None = Field(
        None, alias="asyncURL", description="Where clients send jobs inside the cluster, when there is spec.async."
    )
    model: str | None = Field(None, description="Model name that clients send.")
    business: BusinessStatus | None = Field(None, description="State of the business service, when there is one.")
    model_cache: ModelCacheStatus | None = Field(
        None, description="How far the fetch of the model is, with model.cache.prefetch."
    )
    adapters: list[AdapterStatus] | None = Field(
        None, description="LoRA adapters, when the spec has some.", json_schema_extra=map_list("name")
    )
    conditions: list[Condition] = Field(
        default_factory=list,
        description="Ready, Progressing, MetricsAvailable, ScalingActive, with spec.async QueueAvailable, with "
        "spec.gateway RouteAccepted, with model.cache.prefetch ModelCached, and with model.adapters AdaptersReady.",
        json_schema_extra=map_list("type"),
    )
    scaling: ScalingStatus | None = Field(None, description="What the scaler wants and why.")
    usage: Usage | None = Field(
        None,
        description="GPU-hours of the engine's pods on nodes, and their cost. Until now: gpuHours + gpus x time since "
        "asOf.",
    )
