"""Scaling of SageMaker endpoints as spec.scaling. The JSON has the shapes of the AWS API references."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from llmendpoint.cli.main import app

VARIANT = "endpoint/llm-twin/variant/AllTraffic"
COPY = "inference-component/twin-8b"
OF_VARIANT = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": VARIANT,
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
OF_COPY = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": COPY,
    "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
}
ARN = "arn:aws:autoscaling:eu-central-1:111122223333:scalingPolicy:6d8972f3:resource/sagemaker/x:policyName/p"
TARGETS = {
    "ScalableTargets": [
        {
            **OF_VARIANT, "MinCapacity": 1, "MaxCapacity": 6, "CreationTime": "2026-05-04T10:00:00+02:00",
            "RoleARN": "arn:aws:iam::111122223333:role/scaling",
            "SuspendedState": {
                "DynamicScalingInSuspended": False, "DynamicScalingOutSuspended": False,
                "ScheduledScalingSuspended": False,
            },
        }
    ]
}  # fmt: skip


def tracking(metric: str, value: float, of: dict[str, str] = OF_VARIANT, **more: Any) -> dict[str, Any]:
    """One of describe-scaling-policies."""
    return {
        "PolicyARN": ARN, "PolicyName": f"on-{metric}", **of, "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": value, "PredefinedMetricSpecification": {"PredefinedMetricType": metric}, **more,
        },
        "Alarms": [{"AlarmName": "TargetTracking-x-AlarmHigh-1", "AlarmARN": "arn:aws:cloudwatch:alarm:1"}],
        "CreationTime": "2026-05-04T10:00:00+02:00",
    }  # fmt: skip


def run(directory: Path, *documents: Any, arguments: tuple[str, ...] = ()) -> tuple[int, str]:
    paths = []
    for index, document in enumerate(documents):
        path = directory / f"{index}.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        paths.append(str(path))
    result = CliRunner().invoke(app, ["import-sagemaker", *paths, *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def imported(directory: Path, *documents: Any, arguments: tuple[str, ...] = ()) -> tuple[dict[str, Any], str]:
    """spec.scaling and the notes, on one line."""
    code, output = run(directory, *documents, arguments=arguments)
    assert code == 0, output
    notes = " ".join(line.lstrip("# ") for line in output.splitlines() if line.startswith("#"))
    found: dict[str, Any] = yaml.safe_load(output)["spec"]["scaling"]
    return found, notes


INVOCATIONS = "SageMakerVariantInvocationsPerInstance"


def test_the_reference_case(tmp_path: Path) -> None:
    policy = tracking(INVOCATIONS, 5.0, ScaleInCooldown=200, ScaleOutCooldown=200)
    scaling, notes = imported(tmp_path, {"ScalingPolicies": [policy]}, TARGETS)
    assert scaling == {
        "minReplicas": 1,
        "maxReplicas": 6,
        "policy": "TargetTracking",
        "targets": [{"type": "RequestsPerReplicaPerMinute", "value": 5}],
        "scaleOut": {"cooldownSeconds": 200},
        "scaleIn": {"cooldownSeconds": 200},
    }
    assert notes.startswith(f"From SageMaker {VARIANT}")
    assert "3 points above the target scale out and 15 points below 0.9 x target scale in" in notes


@pytest.mark.parametrize(
    ("metric", "of", "kind", "evaluation"),
    [
        (INVOCATIONS, OF_VARIANT, "RequestsPerReplicaPerMinute", None),
        ("SageMakerInferenceComponentInvocationsPerCopy", OF_COPY, "RequestsPerReplicaPerMinute", None),
        (
            "SageMakerVariantConcurrentRequestsPerModelHighResolution",
            OF_VARIANT,
            "ConcurrentRequestsPerReplica",
            "Fast",
        ),
        (
            "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution",
            OF_COPY,
            "ConcurrentRequestsPerReplica",
            "Fast",
        ),
    ],
)
def test_each_predefined_metric(
    tmp_path: Path, metric: str, of: dict[str, str], kind: str, evaluation: str | None
) -> None:
    target = {**of, "MinCapacity": 2, "MaxCapacity": 8}  # as register-scalable-target takes it
    scaling, _ = imported(tmp_path, {"ScalingPolicies": [tracking(metric, 7.5, of)]}, target)
    assert scaling["targets"] == [{"type": kind, "value": 7.5}]
    assert scaling.get("evaluation") == evaluation
    assert (scaling["minReplicas"], scaling["maxReplicas"]) == (2, 8)
    assert scaling["scaleOut"] == scaling["scaleIn"] == {"cooldownSeconds": 300}  # what AWS takes where none is given


def test_files_may_be_merged_inputs_of_put_or_a_bare_configuration(tmp_path: Path) -> None:
    policy = tracking(INVOCATIONS, 5)
    put = {name: policy[name] for name in policy if name not in {"PolicyARN", "Alarms", "CreationTime"}}
    bare = policy["TargetTrackingScalingPolicyConfiguration"]
    expected, _ = imported(tmp_path, {"ScalingPolicies": [policy], **TARGETS})
    for documents in ((put, TARGETS), ([put, TARGETS],), (bare, TARGETS)):
        assert imported(tmp_path, *documents)[0] == expected


def test_a_disabled_scale_in_stays_disabled(tmp_path: Path) -> None:
    scaling, _ = imported(tmp_path, {"ScalingPolicies": [tracking(INVOCATIONS, 5, DisableScaleIn=True)]}, TARGETS)
    assert scaling["scaleIn"] == {"cooldownSeconds": 300, "disabled": True}
    suspended = {**TARGETS["ScalableTargets"][0], "SuspendedState": {"DynamicScalingInSuspended": True}}
    scaling, _ = imported(tmp_path, {"ScalingPolicies": [tracking(INVOCATIONS, 5)]}, {"ScalableTargets": [suspended]})
    assert scaling["scaleIn"]["disabled"] is True


def test_several_policies_become_several_targets(tmp_path: Path) -> None:
    policies = [
        tracking(INVOCATIONS, 60, ScaleInCooldown=100),
        tracking(
            "SageMakerVariantConcurrentRequestsPerModelHighResolution", 4, ScaleInCooldown=400, DisableScaleIn=True
        ),
    ]
    scaling, notes = imported(tmp_path, {"ScalingPolicies": policies}, TARGETS)
    assert [target["value"] for target in scaling["targets"]] == [60, 4]
    assert "evaluation" not in scaling
    assert scaling["scaleIn"] == {"cooldownSeconds": 400}
    for part in ("so the high-resolution metric reacts in minutes", "the longest counts", "all targets must agree"):
        assert part in notes


def test_what_has_no_counterpart_is_told(tmp_path: Path) -> None:
    custom = tracking(INVOCATIONS, 70)
    custom["TargetTrackingScalingPolicyConfiguration"] = {
        "TargetValue": 70.0,
        "CustomizedMetricSpecification": {
            "MetricName": "CPUUtilization", "Namespace": "/aws/sagemaker/Endpoints", "Statistic": "Average",
            "Dimensions": [{"Name": "EndpointName", "Value": "llm-twin"}], "Unit": "Percent",
        },
    }  # fmt: skip
    serverless = tracking("SageMakerVariantProvisionedConcurrencyUtilization", 0.7)
    predictive = {"PolicyName": "ahead", **OF_VARIANT, "PolicyType": "PredictiveScaling"}
    scaling, notes = imported(tmp_path, {"ScalingPolicies": [custom, serverless, predictive]}, TARGETS)
    assert scaling == {"minReplicas": 1, "maxReplicas": 6}
    assert "CloudWatch metric /aws/sagemaker/Endpoints CPUUtilization, target 70, is not known here" in notes
    assert "SageMakerVariantProvisionedConcurrencyUtilization has no counterpart" in notes
    assert "ahead is left out: PredictiveScaling has no counterpart" in notes
    assert "policy Demand decides" in notes


def test_scale_to_zero_is_told(tmp_path: Path) -> None:
    target = {**OF_COPY, "MinCapacity": 0, "MaxCapacity": 2}
    scaling, notes = imported(tmp_path, target, tracking("SageMakerInferenceComponentInvocationsPerCopy", 5, OF_COPY))
    assert scaling["minReplicas"] == 0
    assert "minReplicas 0: the endpoint sleeps" in notes


def step(name: str, alarm: str, *bands: dict[str, Any], kind: str = "ChangeInCapacity", **more: Any) -> dict[str, Any]:
    return {
        "PolicyARN": ARN + name, "PolicyName": name, **OF_VARIANT, "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": {
            "AdjustmentType": kind, "StepAdjustments": list(bands), "MetricAggregationType": "Average", **more,
        },
        "Alarms": [{"AlarmName": alarm, "AlarmARN": f"arn:aws:cloudwatch:eu-central-1:111122223333:alarm:{alarm}"}],
    }  # fmt: skip


def alarm(name: str, threshold: float, comparison: str, **more: Any) -> dict[str, Any]:
    usual = {
        "AlarmName": name, "MetricName": "InvocationsPerInstance", "Namespace": "AWS/SageMaker", "Statistic": "Sum",
        "Period": 60, "EvaluationPeriods": 3, "Threshold": threshold, "ComparisonOperator": comparison,
    }  # fmt: skip
    return usual | more


OUT = step(
    "out",
    "high",
    {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 15.0, "ScalingAdjustment": 1},
    {"MetricIntervalLowerBound": 15.0, "ScalingAdjustment": 3},
    Cooldown=120,
)
IN = step("in", "low", {"MetricIntervalUpperBound": 0.0, "ScalingAdjustment": -1}, Cooldown=600)
HIGH = alarm("high", 30.0, "GreaterThanOrEqualToThreshold")
LOW = alarm("low", 10.0, "LessThanThreshold", EvaluationPeriods=15)


def test_step_scaling_takes_its_metric_and_thresholds_from_the_alarms(tmp_path: Path) -> None:
    scaling, notes = imported(tmp_path, {"ScalingPolicies": [IN, OUT]}, TARGETS, {"MetricAlarms": [LOW, HIGH]})
    assert scaling == {
        "minReplicas": 1,
        "maxReplicas": 6,
        "policy": "Step",
        "targets": [{"type": "RequestsPerReplicaPerMinute", "value": 30}],
        "adjustmentType": "ChangeInCapacity",
        "steps": [
            {"lowerBound": 0, "upperBound": 15, "adjustment": 1},
            {"lowerBound": 15, "adjustment": 3},
            {"upperBound": -20, "adjustment": -1},
        ],
        "scaleOut": {"cooldownSeconds": 120},
        "scaleIn": {"cooldownSeconds": 600},
    }
    assert "points" not in notes


def test_what_differs_of_steps_is_told(tmp_path: Path) -> None:
    by_percent = step("out", "high", {"MetricIntervalLowerBound": 0, "ScalingAdjustment": 50},
                      kind="PercentChangeInCapacity", MinAdjustmentMagnitude=2)  # fmt: skip
    down = step("in", "low", {"MetricIntervalUpperBound": 0, "ScalingAdjustment": -10}, kind="PercentChangeInCapacity")
    five = alarm("high", 150.0, "GreaterThanThreshold", Period=300, EvaluationPeriods=1)
    near = {**LOW, "Threshold": 29}
    scaling, notes = imported(
        tmp_path, {"ScalingPolicies": [by_percent, down]}, TARGETS, {"MetricAlarms": [five, near]}
    )
    assert scaling["targets"][0]["value"] == 30
    assert (scaling["adjustmentType"], scaling["steps"][1]["upperBound"]) == ("PercentChangeInCapacity", -1)
    for part in (
        "alarm high looks at 1 points of 300 s; here it is 3 of 60 s",
        "MinAdjustmentMagnitude 2 is left out",
        "in: a scale-in also needs the metric to be below 0.9 x the target",
    ):
        assert part in notes


def test_steps_beside_target_tracking_are_left_out(tmp_path: Path) -> None:
    scaling, notes = imported(tmp_path, {"ScalingPolicies": [OUT, tracking(INVOCATIONS, 5)]}, TARGETS)
    assert scaling["policy"] == "TargetTracking"
    assert "out is left out: step scaling can not stand beside target tracking" in notes


def action(name: str, schedule: str, low: int | None, high: int | None = None, zone: str = "Europe/Berlin") -> Any:
    bounds = {"MinCapacity": low, "MaxCapacity": high}
    return {
        "ScheduledActionName": name, "ScheduledActionARN": f"arn:aws:autoscaling:scheduledAction:{name}",
        "Schedule": schedule, "Timezone": zone, **OF_VARIANT, "CreationTime": "2026-05-04T10:00:00+02:00",
        "ScalableTargetAction": {key: value for key, value in bounds.items() if value is not None},
    }  # fmt: skip


def scheduled(directory: Path, *actions: Any) -> tuple[dict[str, Any], str]:
    return imported(
        directory, {"ScheduledActions": list(actions)}, {"ScalingPolicies": [tracking(INVOCATIONS, 5)]}, TARGETS
    )


def test_scheduled_actions_that_follow_each_other_become_schedules(tmp_path: Path) -> None:
    scaling, notes = scheduled(
        tmp_path,
        action("office", "cron(30 7 ? * MON-FRI *)", 4, 12),
        {**action("night", "cron(0 18 ? * 2-6 *)", 1, 6), "EndTime": "2027-01-01T00:00:00+01:00"},
    )
    assert scaling["schedules"] == [
        {
            "name": "office", "start": "30 7 * * MON-FRI", "timeZone": "Europe/Berlin", "durationSeconds": 37800,
            "minReplicas": 4, "maxReplicas": 12,
        }
    ]  # fmt: skip
    assert (scaling["minReplicas"], scaling["maxReplicas"]) == (1, 6)
    assert "minReplicas and maxReplicas are those of scheduled action night" in notes
    assert "night: StartTime and EndTime are left out" in notes


def test_of_a_day_in_two_equal_halves_the_smaller_is_the_ordinary_one(tmp_path: Path) -> None:
    scaling, _ = scheduled(
        tmp_path,
        action("day", "cron(0 8 * * ? *)", 3, zone="UTC"),
        action("night", "cron(0 20 * * ? *)", 2, zone="UTC"),
    )
    assert scaling["minReplicas"] == 2
    (day,) = scaling["schedules"]
    assert (day["name"], day["durationSeconds"], day["timeZone"]) == ("day", 43200, "Etc/UTC")


@pytest.mark.parametrize(
    ("actions", "note"),
    [
        ([action("once", "at(2026-12-24T18:00:00)", 9)], "scheduled action once is left out: at(2026-12-24T18:00:00)"),
        ([action("often", "rate(1 hour)", 9)], "often is left out: rate(1 hour) can not be said"),
        ([action("last", "cron(0 8 L * ? *)", 9)], "last is left out"),
        ([action("some-year", "cron(0 8 * * ? 2026)", 9)], "some-year is left out"),
        ([action("up", "cron(0 8 * * ? *)", 9)], "because no other one ends them"),
        (
            [action("a", "cron(0 8 * * ? *)", 9), action("b", "cron(0 9 * * ? *)", 1, zone="UTC")],
            "they are in several time zones, Europe/Berlin, UTC",
        ),
        (
            [
                action("first", "cron(0 8 1 * ? *)", 9),
                action("up", "cron(0 8 ? * MON *)", 3),
                action("new-year", "cron(0 9 1 1 ? *)", 1),
            ],
            "scheduled action first is left out: it does not always last equally long",
        ),
    ],
)  # fmt: skip
def test_scheduled_actions_that_no_schedule_can_say_are_told(tmp_path: Path, actions: list[Any], note: str) -> None:
    scaling, notes = scheduled(tmp_path, *actions)
    assert "schedules" not in scaling or all(one["name"] != "first" for one in scaling["schedules"])
    assert note in notes


def test_of_several_endpoints_one_is_chosen(tmp_path: Path) -> None:
    copies = tracking("SageMakerInferenceComponentInvocationsPerCopy", 9, OF_COPY)
    documents = (
        {"ScalingPolicies": [tracking(INVOCATIONS, 5), copies]},
        {"ScalableTargets": [*TARGETS["ScalableTargets"], {**OF_COPY, "MinCapacity": 1, "MaxCapacity": 3}]},
    )  # fmt: skip
    code, output = run(tmp_path, *documents)
    assert (code, output) == (1, f"choose one with --resource-id: {VARIANT}, {COPY}\n")
    scaling, _ = imported(tmp_path, *documents, arguments=("--resource-id", COPY))
    assert (scaling["maxReplicas"], scaling["targets"][0]["value"]) == (3, 9)
    code, output = run(tmp_path, *documents, arguments=("--resource-id", "endpoint/x"))
    assert (code, output[:30]) == (1, "endpoint/x is not in the files")


@pytest.mark.parametrize(
    ("documents", "sentence"),
    [
        (("{",), "0.json is not JSON"),
        (("",), "0.json is not JSON"),
        (("[1]",), "has no scaling policy, scalable target, scheduled action or alarm"),
        (("{}",), "has no scaling policy"),
        (({"ScalingPolicies": [{"TargetTrackingScalingPolicyConfiguration": {"TargetValue": "much"}}]},),
         "0.json is not as AWS writes it: ScalingPolicies.0.TargetTrackingScalingPolicyConfiguration.TargetValue"),
        (({"ScalingPolicies": [5]},), "is not as AWS writes it"),
        (({"ScalingPolicies": None},), "is not as AWS writes it"),
        (({"ScalingPolicies": [tracking(INVOCATIONS, 5)]},), "MaxCapacity is not in the files: add what aws"),
        (({**OF_VARIANT, "ServiceNamespace": "ecs", "MaxCapacity": 3},), "about other services than SageMaker"),
        (({"ScalingPolicies": [OUT]}, TARGETS), "aws cloudwatch describe-alarms --alarm-names high prints"),
        (({"ScalingPolicies": [OUT]}, TARGETS, {**HIGH, "MetricName": "GPUUtilization"}),
         "step scaling needs one metric out of"),
        (({"ScalingPolicies": [OUT, step("x", "low", kind="ExactCapacity")]}, TARGETS, LOW),
         "must have one AdjustmentType, these have ChangeInCapacity, ExactCapacity"),
        (({"ScalingPolicies": [tracking(INVOCATIONS, 0)]}, TARGETS), "a target of 0 would ask for infinitely many"),
        (({"ScalingPolicies": [tracking(INVOCATIONS, 5, ScaleInCooldown=10**6)]}, TARGETS), "is refused: spec.scaling"),
    ],
)  # fmt: skip
def test_what_can_not_be_used_gets_a_sentence(tmp_path: Path, documents: tuple[Any, ...], sentence: str) -> None:
    code, output = run(tmp_path, *documents)
    assert code == 1, output
    assert sentence in output
    assert "Traceback" not in output


def test_a_file_that_is_no_text_gets_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"\xff\xfe\x00")
    result = CliRunner().invoke(app, ["import-sagemaker", str(path)])
    assert (result.exit_code, "is not text" in result.output) == (1, True)
