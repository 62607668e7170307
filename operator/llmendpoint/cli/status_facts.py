"""What ``llmendpoint status`` says of an endpoint, as a pure function of the object and the time."""

from typing import Literal

from pydantic import Field

from llmendpoint.api.base import ApiModel
from llmendpoint.api.conditions import ConditionType, Reason
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.api.status import ColdStart, Condition, DecisionRecord, ScaleChange
from llmendpoint.cli.replica_gpus import replica_gpus
from llmendpoint.manifests import served_model, service_url
from llmendpoint.reconcile.usage import opened
from llmendpoint.scaling.record import rfc3339
from llmendpoint.scaling.schedules import limits

Health = Literal["Ready", "Underway", "Failing", "Unseen"]
# Nothing is wrong: it takes its time.
UNDERWAY = frozenset({Reason.REPLICAS_STARTING, Reason.ROLLING_OUT, Reason.BUSINESS_NOT_READY, Reason.QUEUE_NOT_READY})


class Replicas(ApiModel):
    """Engine replicas by state."""

    desired: int | None = Field(None, description="That should run.")
    ready: int
    starting: int = Field(description="That exist and are not ready.")
    least: int | None = None
    most: int | None = None


class Hold(ApiModel):
    """What keeps the scaler from doing what its policy asks for."""

    rule: str
    wanted: int
    until: str | None = None
    detail: str | None = None


class Use(ApiModel):
    """GPU-hours, counted on to now; the cost as far as the price is known."""

    since: str
    gpus: int
    gpu_hours: float
    cost: float | None = None
    cost_as_of: str | None = None


class EndpointFacts(ApiModel):
    """One endpoint at a glance."""

    namespace: str
    name: str
    health: Health
    reason: str
    model: str
    engine: str
    gpus_per_replica: int
    url: str
    mode: str
    policy: str | None = None
    replicas: Replicas
    would_run: int | None = Field(None, description="Replicas that mode DryRun would run.")
    hold: Hold | None = None
    decision_time: str | None = None
    decision: str | None = Field(None, description="The scaler's last decision in one sentence.")
    conditions: list[Condition] = Field(default_factory=list)
    cold_start: ColdStart | None = None
    usage: Use | None = None
    changes: list[ScaleChange] = Field(default_factory=list)


def facts_of(endpoint: Endpoint, now: float) -> EndpointFacts:
    """What there is to say of an endpoint at a time."""
    spec, status = endpoint.spec, endpoint.status
    scaling = status.scaling
    decision = scaling.decision if scaling else None
    mode = spec.scaling.mode if spec.scaling else "Off"
    health, reason = health_of(endpoint)
    return EndpointFacts(
        namespace=endpoint.namespace,
        name=endpoint.name,
        health=health,
        reason=reason,
        model=status.model or served_model(spec),
        engine=spec.engine.type,
        gpus_per_replica=replica_gpus(endpoint).total(),
        url=status.url or service_url(endpoint),
        mode=mode,
        policy=spec.scaling.policy if spec.scaling and mode != "Off" else None,
        replicas=_replicas(endpoint, now),
        would_run=scaling.desired_replicas if scaling and mode == "DryRun" else None,
        hold=_hold(decision) if mode != "Off" else None,
        decision_time=decision.time if decision else None,
        decision=decision.sentence if decision else None,
        conditions=status.conditions,
        cold_start=scaling.cold_start_seconds if scaling else None,
        usage=_use(endpoint, now),
        changes=scaling.history if scaling else [],
    )


def health_of(endpoint: Endpoint) -> tuple[Health, str]:
    """How an endpoint is, and why in one word."""
    ready = next((entry for entry in endpoint.status.conditions if entry.type == ConditionType.READY), None)
    if ready is None or (endpoint.status.observed_generation or 0) < endpoint.generation:
        return "Unseen", "NotSeenYet" if ready is None else "ChangeNotSeenYet"
    if ready.status == "True":
        return "Ready", ready.reason
    return ("Underway" if ready.reason in UNDERWAY else "Failing"), ready.reason


def _replicas(endpoint: Endpoint, now: float) -> Replicas:
    spec, status = endpoint.spec, endpoint.status
    starting = max(status.replicas - status.ready_replicas, 0)
    if spec.scaling is None or spec.scaling.mode != "Active":
        return Replicas(desired=spec.replicas, ready=status.ready_replicas, starting=starting)
    bounds = limits(spec.scaling, now)
    return Replicas(
        desired=status.scaling.desired_replicas if status.scaling else None,
        ready=status.ready_replicas,
        starting=starting,
        least=bounds.low.replicas,
        most=bounds.high.replicas,
    )


def _hold(decision: DecisionRecord | None) -> Hold | None:
    if decision is None or decision.held_by is None:
        return None
    last = decision.clamps[-1].detail if decision.clamps else None
    return Hold(rule=decision.held_by, wanted=decision.raw, until=decision.held_until, detail=last)


def _use(endpoint: Endpoint, now: float) -> Use | None:
    usage = endpoint.status.usage
    if usage is None:
        return None
    price = endpoint.spec.scaling.price_per_gpu_hour if endpoint.spec.scaling else None
    account = opened(usage, now).until(now, price)
    return Use(
        since=usage.since,
        gpus=usage.gpus,
        gpu_hours=round(account.held.gpu_hours, 2),
        cost=None if account.held.cost is None else round(account.held.cost, 2),
        # The operator's own default price is not known here, so it is not counted on with.
        cost_as_of=None if account.held.cost is None else rfc3339(now) if price is not None else usage.as_of,
    )
