"""The JSON of the AWS CLI: what ``aws application-autoscaling describe-...`` prints and what its ``put-...`` take.

Shapes: Application Auto Scaling API reference, ScalingPolicy, ScalableTarget and ScheduledAction; CloudWatch API
reference, MetricAlarm. What is not needed is ignored.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_pascal

SERVICE = "sagemaker"


class Unusable(Exception):
    """The files can not be turned into a spec.scaling; the message says why and what to add."""


class Document(BaseModel):
    """A part of the JSON."""

    model_config = ConfigDict(alias_generator=to_pascal, populate_by_name=True, frozen=True)


class PredefinedMetric(Document):
    """A metric that AWS knows by name."""

    predefined_metric_type: str


class CustomizedMetric(Document):
    """A CloudWatch metric."""

    metric_name: str = "by metric math"
    namespace: str = ""


class TargetTracking(Document):
    """TargetTrackingScalingPolicyConfiguration."""

    target_value: float
    predefined_metric_specification: PredefinedMetric | None = None
    customized_metric_specification: CustomizedMetric | None = None
    scale_out_cooldown: int | None = None
    scale_in_cooldown: int | None = None
    disable_scale_in: bool = False


class StepAdjustment(Document):
    """A band; its bounds are distances from the threshold of the alarm."""

    metric_interval_lower_bound: float | None = None
    metric_interval_upper_bound: float | None = None
    scaling_adjustment: int


class StepScaling(Document):
    """StepScalingPolicyConfiguration."""

    adjustment_type: Literal["ChangeInCapacity", "PercentChangeInCapacity", "ExactCapacity"]
    step_adjustments: list[StepAdjustment]
    min_adjustment_magnitude: int | None = None
    cooldown: int | None = None


class AlarmReference(Document):
    """The alarm that starts a policy."""

    alarm_name: str


class Entry(Document):
    """What belongs to a scalable target."""

    service_namespace: str = SERVICE
    resource_id: str = ""
    """endpoint/NAME/variant/NAME or inference-component/NAME; empty where the file does not say."""


class Policy(Entry):
    """A scaling policy."""

    policy_name: str = "the policy"
    policy_type: str = ""
    policy_arn: str = Field("", alias="PolicyARN")
    alarms: list[AlarmReference] = []
    target_tracking: TargetTracking | None = Field(None, alias="TargetTrackingScalingPolicyConfiguration")
    step_scaling: StepScaling | None = Field(None, alias="StepScalingPolicyConfiguration")


class Suspended(Document):
    """What is switched off."""

    dynamic_scaling_in_suspended: bool = False
    dynamic_scaling_out_suspended: bool = False


class ScalableTarget(Entry):
    """The bounds."""

    min_capacity: int | None = None
    max_capacity: int | None = None
    suspended_state: Suspended = Suspended()


class Capacity(Document):
    """Bounds that a scheduled action sets."""

    min_capacity: int | None = None
    max_capacity: int | None = None


class ScheduledAction(Entry):
    """New bounds at certain times."""

    scheduled_action_name: str
    schedule: str = ""
    timezone: str = "UTC"
    start_time: Any = None
    end_time: Any = None
    scalable_target_action: Capacity = Capacity()


class MetricAlarm(Document):
    """A CloudWatch alarm."""

    alarm_name: str
    metric_name: str = "by metric math"
    threshold: float
    comparison_operator: str
    period: int = 60
    evaluation_periods: int = 1
    alarm_actions: list[str] = []


@dataclass(frozen=True)
class Documents:
    """All that was given."""

    policies: tuple[Policy, ...] = ()
    targets: tuple[ScalableTarget, ...] = ()
    actions: tuple[ScheduledAction, ...] = ()
    alarms: tuple[MetricAlarm, ...] = ()

    @property
    def resources(self) -> list[str]:
        """The scalable targets that are named."""
        return sorted({entry.resource_id for entry in (*self.policies, *self.targets, *self.actions)} - {""})

    def of(self, resource: str) -> "Documents":
        """What is about one scalable target, or does not say about which."""
        return Documents(
            policies=tuple(entry for entry in self.policies if entry.resource_id in {"", resource}),
            targets=tuple(entry for entry in self.targets if entry.resource_id in {"", resource}),
            actions=tuple(entry for entry in self.actions if entry.resource_id in {"", resource}),
            alarms=self.alarms,
        )


class Answer(Document):
    """What the describe-... commands print, one or several together."""

    scaling_policies: list[Policy] = []
    scalable_targets: list[ScalableTarget] = []
    scheduled_actions: list[ScheduledAction] = []
    metric_alarms: list[MetricAlarm] = []


# A single object, told by a field that only it has. The configuration of a policy may stand alone.
_SINGLE: dict[str, tuple[type[Document], str | None]] = {
    "ScheduledActionName": (ScheduledAction, None),
    "AlarmName": (MetricAlarm, None),
    "PolicyName": (Policy, None),
    "TargetTrackingScalingPolicyConfiguration": (Policy, None),
    "StepScalingPolicyConfiguration": (Policy, None),
    "TargetValue": (Policy, "TargetTrackingScalingPolicyConfiguration"),
    "StepAdjustments": (Policy, "StepScalingPolicyConfiguration"),
    "MaxCapacity": (ScalableTarget, None),
    "MinCapacity": (ScalableTarget, None),
}


def read(files: Iterable[tuple[str, str]]) -> Documents:
    """All documents of some files, each given by its name and its text. Other services than SageMaker are left out.

    Raises:
        Unusable: a file is no JSON, or nothing of what can be read.
    """
    found: list[Document] = []
    for name, text in files:
        try:
            content = json.loads(text)
        except ValueError as error:
            raise Unusable(f"{name} is not JSON: {error}; give what aws ... --output json prints") from error
        try:
            found += _documents(content, name)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
            raise Unusable(f"{name} is not as AWS writes it: {wrong}") from error
    ours = [entry for entry in found if not isinstance(entry, Entry) or entry.service_namespace == SERVICE]
    if found and not ours:
        raise Unusable("the files are about other services than SageMaker: use --service-namespace sagemaker")
    return Documents(
        policies=tuple(entry for entry in ours if isinstance(entry, Policy)),
        targets=tuple(entry for entry in ours if isinstance(entry, ScalableTarget)),
        actions=tuple(entry for entry in ours if isinstance(entry, ScheduledAction)),
        alarms=tuple(entry for entry in ours if isinstance(entry, MetricAlarm)),
    )


def _documents(content: Any, name: str) -> Iterator[Document]:
    if isinstance(content, list):
        for part in content:
            yield from _documents(part, name)
        return
    if isinstance(content, dict):
        if content.keys() & {to_pascal(field) for field in Answer.model_fields}:
            answer = Answer.model_validate(content)
            yield from answer.scaling_policies
            yield from answer.scalable_targets
            yield from answer.scheduled_actions
            yield from answer.metric_alarms
            return
        if single := next((key for key in _SINGLE if key in content), None):
            kind, inside = _SINGLE[single]
            yield kind.model_validate({inside: content} if inside else content)
            return
    raise Unusable(
        f"{name} has no scaling policy, scalable target, scheduled action or alarm: give what "
        "aws application-autoscaling describe-scaling-policies, describe-scalable-targets or "
        "describe-scheduled-actions prints"
    )
