"""How many replicas: spec.scaling, its policies, cooldowns and metric source."""

from typing import Literal

from pydantic import ConfigDict, Field

from llmendpoint.api.base import ApiModel, atomic_list, cel, map_list

Mode = Literal["Active", "DryRun", "Off"]
Policy = Literal["Demand", "TargetTracking", "Step"]
TargetType = Literal[
    "RequestsPerReplicaPerMinute",
    "ConcurrentRequestsPerReplica",
    "WaitingPerReplica",
    "KVCacheUtilization",
    "TTFTP95Seconds",
    "PromQL",
]
StepAdjustment = Literal["ChangeInCapacity", "PercentChangeInCapacity", "ExactCapacity"]


def _cron_field(value: str) -> str:
    """One field of a cron line: lists, ranges and steps of what ``value`` matches."""
    term = rf"([*]|({value})(-({value}))?)(/[1-9][0-9]?)?"
    return f"{term}(,{term})*"


CRON = " +".join(
    map(
        _cron_field,
        (
            "[0-5]?[0-9]",
            "[01]?[0-9]|2[0-3]",
            "0?[1-9]|[12][0-9]|3[01]",
            "0?[1-9]|1[0-2]|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC",
            "[0-7]|SUN|MON|TUE|WED|THU|FRI|SAT",
        ),
    )
)
TIME_ZONE = "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$"


class Target(ApiModel):
    """One metric and the value of it that target tracking keeps each replica at."""

    type: TargetType = Field(
        description="RequestsPerReplicaPerMinute (SageMaker's InvocationsPerInstance), ConcurrentRequestsPerReplica, "
        "WaitingPerReplica, KVCacheUtilization (0 to 1), TTFTP95Seconds, or PromQL with a query."
    )
    value: float = Field(
        description="The value to keep; must be above 0.",
        json_schema_extra=cel(
            (
                "self > 0.0",
                "scaling.targets value must be above 0: a target of 0 would ask for infinitely many replicas",
            )
        ),
    )
    query: str | None = Field(
        None,
        description="PromQL expression, for type PromQL: one number per replica for this endpoint. "
        "$namespace and $name are replaced.",
        max_length=4096,
    )

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "(self.type == 'PromQL') == has(self.query)",
                "scaling.targets query is needed for type PromQL and only there",
            ),
            (
                "self.type != 'KVCacheUtilization' || self.value <= 1.0",
                "scaling.targets value of KVCacheUtilization is a fraction: give 0.8 for 80 %",
            ),
        )
    )


class StepAdjustmentBand(ApiModel):
    """One band of a step policy: how to react when the metric is between the bounds."""

    lower_bound: float | None = Field(
        None,
        description="The band starts at this distance above the target value; no lower end when left out.",
    )
    upper_bound: float | None = Field(
        None,
        description="The band ends below this distance above the target value; no upper end when left out.",
    )
    adjustment: float = Field(
        description="Replicas to add (negative: to remove), per cent of the current count, or the exact count.",
        ge=-1000,
        le=10000,
    )

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "!has(self.lowerBound) || !has(self.upperBound) || self.lowerBound < self.upperBound",
                "scaling.steps lowerBound must be below upperBound",
            )
        )
    )


class ScaleOut(ApiModel):
    """When and how fast replicas are added."""

    cooldown_seconds: int = Field(
        0,
        description="Seconds after a scale-out is done in which only a larger desired count may act.",
        ge=0,
        le=86400,
    )
    max_step: int | None = Field(None, description="Most replicas added by one decision.", ge=1, le=1000)


class ScaleIn(ApiModel):
    """When and how fast replicas are removed."""

    cooldown_seconds: int = Field(
        60,
        description="Seconds after a scale-in in which no further scale-in happens. A scale-out cancels it.",
        ge=0,
        le=86400,
    )
    hold_seconds: int | None = Field(
        None,
        description="Demand policy: the highest need of the last so many seconds is kept. "
        "Three times the learned cold start, between 300 and 900, when left out.",
        ge=0,
        le=86400,
    )
    max_step: int | None = Field(None, description="Most replicas removed by one decision.", ge=1, le=1000)
    disabled: bool = Field(False, description="True never removes a replica.")


class Demand(ApiModel):
    """Settings of the Demand policy; the defaults suit most endpoints."""

    ttft_seconds: float = Field(
        2.0,
        description="Objective for the time to first token: how long a request may wait until an engine begins with "
        "it. Reading its own prompt takes longer or shorter, whatever runs.",
        ge=0.05,
        le=600,
    )
    error_budget: float = Field(
        0.01,
        description="Share of requests that may miss the objective: 0.01 keeps 99 %. A larger one costs fewer GPUs.",
        ge=0.0001,
        le=0.5,
    )


class Fallback(ApiModel):
    """What to do when metrics stay unknown."""

    after_seconds: int = Field(description="Seconds without metrics before the fallback applies.", ge=30, le=86400)
    replicas: int = Field(description="Replicas to go to; never below what runs.", ge=1, le=1000)


class Prometheus(ApiModel):
    """The Prometheus server that scrapes the engines."""

    url: str = Field(
        description="Base URL of the Prometheus HTTP API, for example http://prometheus.monitoring.svc:9090. Redirects "
        "are not followed.",
        pattern="^https?://[^?#]+$",
        max_length=1024,
    )


class Metrics(ApiModel):
    """Where the scaler reads engine metrics."""

    source: Literal["Pods", "Prometheus"] = Field(
        "Pods",
        description="Pods: the operator reads each engine pod's /metrics; nothing else has to be installed.",
    )
    prometheus: Prometheus | None = Field(None, description="The server, for source Prometheus.")

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "(self.source == 'Prometheus') == has(self.prometheus)",
                "scaling.metrics.prometheus.url is needed for source Prometheus and only there",
            )
        )
    )


class Schedule(ApiModel):
    """Other bounds for a while, again and again."""

    name: str = Field(description="Name of the schedule, which decisions tell.", min_length=1, max_length=63)
    start: str = Field(
        description="When it starts, as cron says it: minute, hour, day of month, month, day of week. "
        "Capacity takes a cold start to come, so start that much earlier.",
        max_length=128,
        json_schema_extra=cel(
            (
                f"self.matches('(?i)^{CRON}$')",
                "scaling.schedules start must be five fields of cron: minute, hour, day of month, month, day of week, "
                'for example "30 7 * * MON-FRI"',
            )
        ),
    )
    time_zone: str = Field(
        "Etc/UTC",
        description="Time zone of start, by its name in the IANA database, for example Europe/Berlin.",
        max_length=64,
        json_schema_extra=cel(
            (
                f"self.matches('{TIME_ZONE}') && self != 'Local'",
                "scaling.schedules timeZone must be a name of the IANA database, for example Europe/Berlin",
            )
        ),
    )
    duration_seconds: int = Field(description="Seconds that it lasts.", ge=60, le=604800)
    min_replicas: int | None = Field(None, description="Fewest replicas meanwhile.", ge=0, le=1000)
    max_replicas: int | None = Field(None, description="Most replicas meanwhile.", ge=1, le=1000)

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "has(self.minReplicas) || has(self.maxReplicas)",
                "scaling.schedules need minReplicas, maxReplicas or both",
            )
        )
    )


class Activator(ApiModel):
    """Holds requests while no replica is ready, where minReplicas is 0."""

    max_requests: int = Field(
        2000,
        description="Most requests that one of the two activators holds. More are answered 503 with Retry-After.",
        ge=1,
        le=20_000,
    )
    timeout_seconds: int = Field(
        600,
        description="Longest time that a request waits for a replica. After it the answer is 503 with Retry-After.",
        ge=1,
        le=3600,
    )


class Scaling(ApiModel):
    """How many engine replicas run. Without spec.scaling the count is spec.replicas."""

    mode: Mode = Field(
        "Active",
        description="Active: the scaler writes the replica count. DryRun: it only reports what it would do. "
        "Off: spec.replicas counts, so that kubectl scale, an HPA or KEDA can own it.",
    )
    min_replicas: int = Field(
        1,
        description="Fewest replicas. 0 lets the endpoint sleep while nobody uses it: the first request waits for a "
        "replica to start.",
        ge=0,
        le=1000,
    )
    max_replicas: int = Field(description="Most replicas; your bound on cost.", ge=1, le=1000)
    idle_seconds: int = Field(
        600,
        description="For minReplicas 0: seconds without a request after which the last replicas go, whatever the "
        "policy wants.",
        ge=10,
        le=604800,
    )
    activator: Activator = Field(Activator(), description="For minReplicas 0: what holds requests meanwhile.")
    schedules: list[Schedule] = Field(
        default_factory=list,
        description="Other bounds at certain times. Of several at once, the one that started last holds, for each "
        "bound that it sets.",
        max_length=20,
        json_schema_extra=map_list("name"),
    )
    policy: Policy = Field(
        "Demand",
        description="Demand sizes on the work offered; TargetTracking keeps a metric at a target, as AWS Application "
        "Auto Scaling does; Step adds or removes by bands.",
    )
    targets: list[Target] = Field(
        default_factory=list,
        description="Targets of TargetTracking and Step. Several: out if any asks, in only if all agree.",
        max_length=8,
        json_schema_extra=atomic_list(),
    )
    evaluation: Literal["Standard", "Fast"] = Field(
        "Standard",
        description="TargetTracking: Standard waits for 3 one-minute points above and 15 below; Fast does the same "
        "on 10-second points.",
    )
    adjustment_type: StepAdjustment = Field("ChangeInCapacity", description="What the adjustment of a step means.")
    steps: list[StepAdjustmentBand] = Field(
        default_factory=list,
        description="Bands of the Step policy, measured from the first target's value. A metric on the bound of two "
        "bands is in the one that is further from it.",
        max_length=20,
        json_schema_extra=atomic_list(),
    )
    demand: Demand = Field(Demand(), description="Settings of the Demand policy.")
    scale_out: ScaleOut = Field(ScaleOut(), description="When and how fast replicas are added.")
    scale_in: ScaleIn = Field(ScaleIn(), description="When and how fast replicas are removed.")
    fallback: Fallback | None = Field(
        None, description="Where to go when metrics stay unknown; without it the size is kept."
    )
    metrics: Metrics = Field(Metrics(), description="Where the scaler reads engine metrics.")
    max_gpus: int | None = Field(
        None,
        alias="maxGPUs",
        description="Most GPUs that all replicas may hold, however many one of them takes. minReplicas come first.",
        ge=1,
        le=100_000,
    )
    price_per_gpu_hour: float | None = Field(
        None,
        alias="pricePerGPUHour",
        description="Price of one GPU for one hour, in your currency: gives status.usage its cost. The operator's "
        "own default when left out.",
        le=100_000,
        json_schema_extra=cel(("self > 0.0", "scaling.pricePerGPUHour must be above 0: leave it out for no cost")),
    )

    @property
    def reaches_zero(self) -> bool:
        """Whether there are times at which no replica has to run."""
        return self.min_replicas == 0 or any(schedule.min_replicas == 0 for schedule in self.schedules)

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "self.minReplicas <= self.maxReplicas",
                "scaling.minReplicas must not be above scaling.maxReplicas",
            ),
            (
                "self.policy == 'Demand' ? self.targets.size() == 0 : self.targets.size() > 0",
                "scaling.targets are needed for policy TargetTracking and Step, and must be left out for Demand",
            ),
            (
                "(self.policy == 'Step') == (self.steps.size() > 0)",
                "scaling.steps are needed for policy Step and only there",
            ),
            (
                "self.targets.all(t, t.type != 'PromQL') || self.metrics.source == 'Prometheus'",
                "a PromQL target needs scaling.metrics.source: Prometheus and scaling.metrics.prometheus.url",
            ),
            (
                "!has(self.fallback) || (self.fallback.replicas >= self.minReplicas && "
                "self.fallback.replicas <= self.maxReplicas)",
                "scaling.fallback.replicas must be between scaling.minReplicas and scaling.maxReplicas",
            ),
            (
                "self.schedules.all(s, (has(s.minReplicas) ? s.minReplicas : self.minReplicas) <= "
                "(has(s.maxReplicas) ? s.maxReplicas : self.maxReplicas))",
                "a schedule's minReplicas must not be above its maxReplicas; where it leaves one out, "
                "scaling.minReplicas or scaling.maxReplicas counts",
            ),
        )
    )
