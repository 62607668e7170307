"""From the documents of one scalable target to spec.scaling, with notes on what differs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from llmendpoint.cli.sagemaker.documents import Documents, MetricAlarm, Policy, StepScaling, TargetTracking, Unusable
from llmendpoint.cli.sagemaker.scheduled_actions import plan_of

# AWS applies it to SageMaker variants and inference components where a policy gives none.
DEFAULT_COOLDOWN = 300
STANDARD = {
    "SageMakerVariantInvocationsPerInstance": "RequestsPerReplicaPerMinute",
    "SageMakerInferenceComponentInvocationsPerCopy": "RequestsPerReplicaPerMinute",
}
HIGH_RESOLUTION = {
    "SageMakerVariantConcurrentRequestsPerModelHighResolution": "ConcurrentRequestsPerReplica",
    "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution": "ConcurrentRequestsPerReplica",
}
# CloudWatch metrics of the alarms of step policies.
PER_MINUTE = {"InvocationsPerInstance", "InvocationsPerCopy"}
BY_METRIC = {
    **dict.fromkeys(PER_MINUTE, "RequestsPerReplicaPerMinute"),
    **dict.fromkeys(("ConcurrentRequestsPerModel", "ConcurrentRequestsPerCopy"), "ConcurrentRequestsPerReplica"),
    "ApproximateBacklogSizePerInstance": "WaitingPerReplica",
}
POINTS_OUT, POINTS_IN, LOW_SHARE = 3, 15, 0.9


@dataclass(frozen=True)
class Imported:
    """A spec.scaling in the wire form, and what a person should know of it."""

    scaling: dict[str, Any]
    notes: tuple[str, ...]


def convert(documents: Documents) -> Imported:
    """spec.scaling for the documents of one scalable target.

    Raises:
        Unusable: something that is needed is not in them.
    """
    notes: list[str] = []
    scaling = _bounds(documents, notes)
    plan = plan_of(documents.actions)
    notes += plan.notes
    if plan.base:
        scaling |= _replicas(plan.base.min_capacity, plan.base.max_capacity, notes)
    if plan.schedules:
        scaling["schedules"] = plan.schedules
    scaling |= _policy(documents, notes)
    for suspended in (target.suspended_state for target in documents.targets):
        if suspended.dynamic_scaling_in_suspended:
            scaling["scaleIn"] = scaling.get("scaleIn", {}) | {"disabled": True}
        if suspended.dynamic_scaling_out_suspended:
            notes.append("scale-out is suspended at AWS and is not here: set mode DryRun to look first")
    return Imported(scaling, tuple(dict.fromkeys(notes)))


def _bounds(documents: Documents, notes: list[str]) -> dict[str, Any]:
    most = [target.max_capacity for target in documents.targets if target.max_capacity is not None]
    least = [target.min_capacity for target in documents.targets if target.min_capacity is not None]
    if not most:
        raise Unusable(
            "MaxCapacity is not in the files: add what aws application-autoscaling describe-scalable-targets "
            "--service-namespace sagemaker prints"
        )
    return {"minReplicas": 1} | _replicas(least[-1] if least else None, most[-1], notes)


def _replicas(least: int | None, most: int | None, notes: list[str]) -> dict[str, Any]:
    if least == 0:
        notes.append(
            "minReplicas 0: the endpoint sleeps after scaling.idleSeconds without a request, and a request at zero "
            "waits for a replica, where SageMaker answers an error"
        )
    found = {"minReplicas": (least, 0), "maxReplicas": (most, 1)}
    return {name: max(count, fewest) for name, (count, fewest) in found.items() if count is not None}


def _policy(documents: Documents, notes: list[str]) -> dict[str, Any]:
    tracking = [(policy, policy.target_tracking) for policy in documents.policies if policy.target_tracking]
    steps = [(policy, policy.step_scaling) for policy in documents.policies if policy.step_scaling]
    notes += [
        f"{policy.policy_name} is left out: {policy.policy_type or 'its type'} has no counterpart"
        for policy in documents.policies
        if not policy.target_tracking and not policy.step_scaling
    ]
    made = _tracking(tracking, notes)
    if made:
        for policy, _ in steps:
            notes.append(f"{policy.policy_name} is left out: step scaling can not stand beside target tracking")
        return made
    if steps:
        return _steps(steps, documents.alarms, notes)
    notes.append(
        "no policy could be carried over, so policy Demand decides, which sizes on the work offered; "
        "llmendpoint simulate shows what it does on your traffic"
    )
    return {}


def _tracking(policies: Sequence[tuple[Policy, TargetTracking]], notes: list[str]) -> dict[str, Any]:
    known = {**STANDARD, **HIGH_RESOLUTION}
    taken: list[tuple[TargetTracking, str]] = []
    for policy, tracking in policies:
        metric = tracking.predefined_metric_specification
        if metric and metric.predefined_metric_type in known:
            taken.append((tracking, metric.predefined_metric_type))
        elif metric:
            notes.append(f"{policy.policy_name} is left out: {metric.predefined_metric_type} has no counterpart")
        else:
            custom = tracking.customized_metric_specification
            name = f"{custom.namespace} {custom.metric_name}".strip() if custom else "none"
            notes.append(
                f"{policy.policy_name} is left out: CloudWatch metric {name}, target {tracking.target_value:g}, is not "
                "known here; a target of type PromQL with a query for the same takes its place"
            )
    if not taken:
        return {}
    fast = [name in HIGH_RESOLUTION for _, name in taken]
    if any(fast) and not all(fast):
        notes.append("one evaluation counts for all targets: Standard, so the high-resolution metric reacts in minutes")
    notes.append(
        "as with AWS, 3 points above the target scale out and 15 points below 0.9 x target scale in; points are of "
        f"{'10' if all(fast) else '60'} s. They are read from the engines and do not come late, as those of CloudWatch "
        "do by a minute or two: expect to act that much earlier"
    )
    some = [tracking.disable_scale_in for tracking, _ in taken]
    if any(some) and not all(some):
        notes.append("DisableScaleIn of one policy of several: here all targets must agree before a scale-in")
    return {
        "policy": "TargetTracking",
        "targets": [{"type": known[name], "value": _number(tracking.target_value)} for tracking, name in taken],
        **({"evaluation": "Fast"} if all(fast) else {}),
        "scaleOut": {"cooldownSeconds": _cooldown((one.scale_out_cooldown for one, _ in taken), "out", notes)},
        "scaleIn": {
            "cooldownSeconds": _cooldown((one.scale_in_cooldown for one, _ in taken), "in", notes),
            **({"disabled": True} if all(some) else {}),
        },
    }


def _steps(
    policies: Sequence[tuple[Policy, StepScaling]], alarms: Sequence[MetricAlarm], notes: list[str]
) -> dict[str, Any]:
    types = {steps.adjustment_type for _, steps in policies}
    if len(types) > 1:
        raise Unusable(
            f"step policies of one endpoint must have one AdjustmentType, these have {', '.join(sorted(types))}"
        )
    started = [(policy, steps, _alarm(policy, alarms)) for policy, steps in policies]
    metrics = {alarm.metric_name for _, _, alarm in started}
    if len(metrics) > 1 or not metrics <= BY_METRIC.keys():
        raise Unusable(
            f"step scaling needs one metric out of {', '.join(BY_METRIC)}; the alarms are on "
            f"{', '.join(sorted(metrics))}"
        )
    # Scale-out first: its threshold becomes the target, from which all bounds are measured.
    started.sort(key=lambda one: not _is_out(one[2]))
    target = _per_minute(started[0][2], started[0][2].threshold)
    bands: list[dict[str, int | float]] = []
    cooldowns: dict[str, list[int | None]] = {"out": [], "in": []}
    for policy, steps, alarm in started:
        shift = _per_minute(alarm, alarm.threshold) - target
        for step in steps.step_adjustments:
            low, high = step.metric_interval_lower_bound, step.metric_interval_upper_bound
            band = {
                "lowerBound": None if low is None else _number(_per_minute(alarm, low) + shift),
                "upperBound": None if high is None else _number(_per_minute(alarm, high) + shift),
                "adjustment": step.scaling_adjustment,
            }
            bands.append({name: value for name, value in band.items() if value is not None})
        cooldowns["out" if _is_out(alarm) else "in"].append(steps.cooldown)
        notes += _differences(policy, steps, alarm, target)
    return {
        "policy": "Step",
        "targets": [{"type": BY_METRIC[metrics.pop()], "value": _number(target)}],
        "adjustmentType": types.pop(),
        "steps": bands,
        **{
            f"scale{direction.capitalize()}": {"cooldownSeconds": _cooldown(found, direction, notes)}
            for direction, found in cooldowns.items()
            if found
        },
    }


def _differences(policy: Policy, steps: StepScaling, alarm: MetricAlarm, target: float) -> Iterable[str]:
    points = POINTS_OUT if _is_out(alarm) else POINTS_IN
    if (alarm.evaluation_periods, alarm.period) != (points, 60):
        yield (
            f"alarm {alarm.alarm_name} looks at {alarm.evaluation_periods} points of {alarm.period} s; "
            f"here it is {points} of 60 s"
        )
    if not _is_out(alarm) and _per_minute(alarm, alarm.threshold) > LOW_SHARE * target:
        yield f"{policy.policy_name}: a scale-in also needs the metric to be below {LOW_SHARE} x the target"
    if steps.min_adjustment_magnitude:
        yield (
            f"{policy.policy_name}: MinAdjustmentMagnitude {steps.min_adjustment_magnitude} is left out, a percentage "
            "changes the count by at least one replica"
        )


def _alarm(policy: Policy, alarms: Iterable[MetricAlarm]) -> MetricAlarm:
    named = {reference.alarm_name for reference in policy.alarms}
    for alarm in alarms:
        if alarm.alarm_name in named or (policy.policy_arn and policy.policy_arn in alarm.alarm_actions):
            return alarm
    which = " ".join(sorted(named)) or "NAME"
    raise Unusable(
        f"{policy.policy_name} is step scaling, whose metric and threshold are in its CloudWatch alarm: add what "
        f"aws cloudwatch describe-alarms --alarm-names {which} prints"
    )


def _is_out(alarm: MetricAlarm) -> bool:
    return alarm.comparison_operator.startswith("Greater")


def _per_minute(alarm: MetricAlarm, value: float) -> float:
    """A sum over the period as one over a minute; other metrics as they are."""
    return value * 60.0 / alarm.period if alarm.metric_name in PER_MINUTE else value


def _cooldown(given: Iterable[int | None], direction: str, notes: list[str]) -> int:
    found = [DEFAULT_COOLDOWN if seconds is None else seconds for seconds in given]
    if len(set(found)) > 1:
        notes.append(f"the policies have different scale-{direction} cooldowns: the longest counts")
    return max(found)


def _number(value: float) -> int | float:
    """As a person would write it."""
    rounded = round(value, 6)
    return int(rounded) if rounded == int(rounded) else rounded
