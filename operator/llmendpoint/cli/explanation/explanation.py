"""The whole of a decision: readings, sum, rules in order, result, and where the record does not agree with itself."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import Field

from llmendpoint.api.base import ApiModel
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.api.status import DecisionRecord
from llmendpoint.cli.explanation.alarm_sums import step_sums, tracking_sums
from llmendpoint.cli.explanation.demand_sums import demand_sums
from llmendpoint.cli.explanation.job_sums import job_sums, policy_alone
from llmendpoint.cli.explanation.sums import DIGIT, Reading, Sum, number, said
from llmendpoint.scaling.staffing import FULL

MEANING = {
    "arrivalRate": ("requests that arrive", "req/s"),
    "running": ("requests in the batches", ""),
    "waiting": ("requests in the queues", ""),
    "kvUsage": ("KV caches in use, summed", "caches"),
    "occupancy": ("batch slots or KV cache in use, summed", "replicas"),
    "slotsPerReplica": ("requests that fit into a batch", ""),
    "readingAgeSeconds": ("age of the oldest reading", "s"),
    "podsRead": ("replicas that were read", ""),
    "podsUnread": ("replicas that serve and could not be read", ""),
    "held": ("requests that wait at the activator", ""),
    "jobsQueued": ("jobs that wait", ""),
    "jobsInProgress": ("jobs in work", ""),
    "oldestJobSeconds": ("wait of the oldest job", "s"),
    "backlogPerReplica": ("async.backlogPerReplica", "jobs"),
    "oldestSeconds": ("async.oldestSeconds", "s"),
    "awaitingReplicas": ("replicas of the last scale-out are still starting", ""),
    "ttftSeconds": ("scaling.demand.ttftSeconds", "s"),
    "errorBudget": ("scaling.demand.errorBudget", ""),
}


class Rule(ApiModel):
    """One rule that changed the count."""

    name: str
    before: int
    after: int
    detail: str | None = None
    until: str | None = None


class Explanation(ApiModel):
    """A decision that can be followed with pencil and paper."""

    namespace: str
    name: str
    time: str
    reason: str
    policy: str | None = Field(None, description="Absent where there was nothing to read.")
    current: int
    raw: int
    desired: int
    readings: list[Reading]
    sums: list[Sum]
    rules: list[Rule]
    held_by: str | None = None
    held_until: str | None = None
    expected_ready_time: str | None = None
    sentence: str
    disagreements: list[str] = Field(description="Where the sum comes to something else than the operator recorded.")
    notes: list[str] = Field(description="What to know beside the sum.")


def explain(endpoint: Endpoint) -> Explanation | None:
    """The last decision redone; None where there is none."""
    status = endpoint.status.scaling
    decision = status.decision if status else None
    if decision is None:
        return None
    policy, sums = _sums(policy_alone(decision))
    sums += job_sums(decision)
    rules = [
        Rule(
            name=clamp.name,
            before=clamp.before,
            after=clamp.after,
            detail=clamp.detail,
            until=decision.held_until if index == len(decision.clamps) - 1 and decision.held_by else None,
        )
        for index, clamp in enumerate(decision.clamps)
    ]
    return Explanation(
        namespace=endpoint.namespace,
        name=endpoint.name,
        time=decision.time,
        reason=decision.reason,
        policy=policy,
        current=decision.current,
        raw=decision.raw,
        desired=decision.desired,
        readings=list(_readings(decision.inputs)),
        sums=sums,
        rules=rules,
        held_by=decision.held_by,
        held_until=decision.held_until,
        expected_ready_time=decision.expected_ready_time,
        sentence=decision.sentence,
        disagreements=[*_wrong_sums(sums), *_wrong_rules(decision)],
        notes=list(_notes(endpoint, policy, decision, has_sum=bool(sums))),
    )


def no_decision(endpoint: Endpoint) -> str:
    """Why there is nothing to explain."""
    scaling = endpoint.spec.scaling
    where = f"{endpoint.namespace}/{endpoint.name}"
    if scaling is None or scaling.mode == "Off":
        said_by = "has no spec.scaling" if scaling is None else "has scaling.mode Off"
        return (
            f"{where} {said_by}, so nothing is decided: spec.replicas counts, which kubectl scale, an HPA or KEDA set."
        )
    return (
        f"{where} has no decision yet: the scaler decides some seconds after the operator sees an endpoint. If this "
        "stays so, llmendpoint doctor looks for the cause."
    )


def _sums(decision: DecisionRecord) -> tuple[str | None, list[Sum]]:
    """Policy and sum, by the form of the record: the policy of the spec may have changed since."""
    if "demandMean" in decision.terms:
        return "Demand", list(demand_sums(decision))
    if "votes" in decision.terms:
        return "TargetTracking", list(tracking_sums(decision))
    if "breach" in decision.terms:
        return "Step", list(step_sums(decision))
    return None, []


def _readings(inputs: dict[str, Any]) -> Iterator[Reading]:
    # The API server gives them in any order. Targets are in the sum.
    for name in (*MEANING, *sorted(inputs.keys() - MEANING.keys() - {"targets"})):
        if (value := inputs.get(name)) is None:
            continue
        meaning, unit = MEANING.get(name, (name, ""))
        known = value if isinstance(value, bool | int | float | str) else str(value)
        yield Reading(name=name, meaning=meaning, value=known, unit=unit)


def _wrong_sums(sums: Sequence[Sum]) -> Iterator[str]:
    for step in sums:
        if not step.agrees and step.recorded is not None:
            yield f"{step.name}: {step.numbers} is {said(step.result)}, and {said(step.recorded)} was recorded"


def _wrong_rules(decision: DecisionRecord) -> Iterator[str]:
    """Rules that do not follow on each other, or do not do what they are for."""
    count = decision.raw
    for clamp in decision.clamps:
        if clamp.before != count:
            yield f"rule {clamp.name} was applied to {clamp.before}, and {count} is what it got"
        if clamp.name == "Consolidation" and (occupancy := number(decision.inputs, "occupancy")) is not None:
            needed = [min(math.ceil(occupancy / FULL + by), decision.current) for by in (-DIGIT, DIGIT)]
            if not needed[0] <= clamp.after <= needed[1]:
                yield (
                    f"rule Consolidation: {said(occupancy)} / {FULL:g} is {needed[0]} replicas, and {clamp.after} "
                    "were recorded"
                )
        count = clamp.after
    if count != decision.desired:
        yield f"the rules end at {count} replicas, and {decision.desired} were recorded"


def _notes(endpoint: Endpoint, policy: str | None, decision: DecisionRecord, *, has_sum: bool) -> Iterator[str]:
    spec = endpoint.spec
    if not has_sum:
        yield "no engine was read for it, so there is no sum: the count was kept, or is a new bound or the fallback"
    scaling = spec.scaling
    if scaling is None or scaling.mode == "Off":
        yield "the scaler is off now, so this is an old decision: spec.replicas counts"
        return
    if scaling.mode == "DryRun":
        yield (
            f"mode DryRun: nothing was changed. {decision.desired} replicas would run; "
            f"{endpoint.status.replicas} do, by spec.replicas"
        )
    if policy is not None and policy != scaling.policy:
        yield f"the policy is {scaling.policy} by now and has come to no other outcome yet"
    if (endpoint.status.observed_generation or 0) < endpoint.generation:
        yield "the spec was changed and the operator has not seen it yet"
