"""What the doctor makes of what was read of a cluster."""

import copy
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmendpoint.api import schema
from llmendpoint.cli.checks.check import Check
from llmendpoint.cli.checks.conditions import check_conditions
from llmendpoint.cli.checks.definition import check_definition, check_server
from llmendpoint.cli.checks.gpus import check_gpus
from llmendpoint.cli.checks.operators import check_lease, check_operators, watched_namespaces
from llmendpoint.cli.checks.permissions import LEADING, NEEDED, Review, check_permissions
from llmendpoint.cli.checks.reachability import Probe, check_metrics, service_proxy
from llmendpoint.cluster.errors import Forbidden, Unreachable
from support.builders import NOW, endpoint_object

ROOT = Path(__file__).resolve().parents[2]
HELPERS = ROOT / "charts/llmendpoint-operator/templates/_helpers.tpl"
VERSION = "0.1.0"


def told(checks: Iterable[Check]) -> list[tuple[str, str]]:
    return [(check.level, check.found) for check in checks]


def only(checks: Iterable[Check]) -> Check:
    (check,) = checks
    return check


# The kind.


def stored_crd() -> dict[str, Any]:
    made = copy.deepcopy(schema.crd(schema.ENDPOINT))
    made["status"] = {"conditions": [{"type": "Established", "status": "True"}]}
    return made


def spec_of(crd: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    return found


def test_the_schema_of_this_version_is_well() -> None:
    assert only(check_definition(schema.ENDPOINT, stored_crd())).level == "ok"


def test_other_words_of_a_description_are_no_other_schema() -> None:
    crd = stored_crd()
    spec_of(crd)["model"]["description"] = "words"
    assert only(check_definition(schema.ENDPOINT, crd)).level == "ok"


def test_an_older_schema_lacks_fields() -> None:
    crd = stored_crd()
    del spec_of(crd)["scaling"]["properties"]["demand"]
    check = only(check_definition(schema.ENDPOINT, crd))
    assert (check.level, check.todo is not None) == ("fail", True)
    assert "it lacks spec.scaling.demand, spec.scaling.demand.errorBudget" in check.found


def test_a_newer_schema_has_more_fields() -> None:
    crd = stored_crd()
    spec_of(crd)["later"] = {"type": "string"}
    check = only(check_definition(schema.ENDPOINT, crd))
    assert (check.level, "it has spec.later" in check.found) == ("warn", True)


def test_another_default_is_told() -> None:
    crd = stored_crd()
    spec_of(crd)["scaling"]["properties"]["mode"]["default"] = "Off"
    assert "other rules or defaults" in only(check_definition(schema.ENDPOINT, crd)).found


@pytest.mark.parametrize("version", ["v1.29.8", "v1.9.0"])
def test_an_api_server_that_is_too_old_is_told(version: str) -> None:
    assert only(check_server("https://here", version)).level == "fail"


def test_what_one_may_not_see_is_no_failure() -> None:
    refused = Forbidden("GET /x", status=403, said="nodes is forbidden: you")
    for checks in (
        check_definition(schema.ENDPOINT, refused), check_operators(refused, []),
        check_lease(refused, NOW), check_permissions(refused),
        check_gpus(refused, [], []), check_conditions(refused, None),
    ):  # fmt: skip
        assert told(checks) == [("skip", "you may not look: nodes is forbidden: you")]


def test_what_could_not_be_read_is_told() -> None:
    assert only(check_definition(schema.ENDPOINT, Unreachable("GET /x", said="TimeoutError"))).level == "warn"


# The operator.


def operator(name: str = "llmendpoint-operator", watches: str = "", ready: int = 1, **status: Any) -> dict[str, Any]:
    environment = [{"name": "POD_NAME", "valueFrom": {}}, {"name": "LLMENDPOINT_WATCH_NAMESPACES", "value": watches}]
    return {
        "metadata": {
            "name": name, "namespace": "llmendpoint-system", "labels": {"app.kubernetes.io/version": VERSION},
        },
        "spec": {
            "replicas": 1,
            "template": {"spec": {"serviceAccountName": name, "containers": [{"name": "o", "env": environment}]}},
        },
        "status": {"readyReplicas": ready, **status},
    }  # fmt: skip


def test_an_operator_that_runs_is_well_and_says_what_it_watches() -> None:
    assert told(check_operators([operator(watches="a, b")], [])) == [
        ("ok", "llmendpoint-system/llmendpoint-operator 0.1.0: 1 of 1 ready, watches a, b")
    ]
    assert watched_namespaces(operator()) == ()


def test_an_operator_that_is_not_ready_says_why_and_where_to_look() -> None:
    why = {"type": "Available", "status": "False", "message": "Deployment does not have minimum availability."}
    check = only(check_operators([operator(ready=0, conditions=[why])], []))
    assert check.level == "fail"
    assert check.found.endswith("0 of 1 ready; Deployment does not have minimum availability.")
    assert "kubectl logs -n llmendpoint-system deployment/llmendpoint-operator" in (check.todo or "")


def test_without_an_operator_nothing_works_unless_one_outside_of_the_cluster_has_seen_the_endpoints() -> None:
    assert only(check_operators([], [endpoint_object()])).level == "fail"
    assert only(check_operators([], [endpoint_object(status={"observedGeneration": 1})])).level == "warn"


@pytest.mark.parametrize(("one", "other", "wrong"), [("", "a", True), ("a,b", "b", True), ("a", "b", False)])
def test_two_operators_of_one_namespace_both_decide(one: str, other: str, wrong: bool) -> None:
    levels = [check.level for check in check_operators([operator("o", one), operator("p", other)], [])]
    assert levels == ["ok", "ok", *(["fail"] if wrong else [])]


def test_a_namespace_that_nobody_watches_is_told() -> None:
    found = told(check_operators([operator(watches="other")], [endpoint_object()]))
    assert found[1:] == [("fail", "no operator watches namespace team, which has endpoints")]


def test_another_version_of_the_operator_is_told() -> None:
    old = operator()
    old["metadata"]["labels"]["app.kubernetes.io/version"] = "0.0.1"
    assert [check.level for check in check_operators([old], [])] == ["ok", "warn"]


@pytest.mark.parametrize(
    ("renewed", "level"), [("2025-06-15T15:06:35.123456Z", "ok"), ("2025-06-15T15:00:00.000000Z", "fail")]
)
def test_a_lease_that_is_not_renewed_means_that_nobody_leads(renewed: str, level: str) -> None:
    lease = {"spec": {"holderIdentity": "pod-1", "renewTime": renewed, "leaseDurationSeconds": 15}}
    assert only(check_lease(lease, NOW)).level == level


def test_an_operator_that_elects_no_leader_has_no_lease() -> None:
    assert told(check_lease(None, NOW)) == []
    assert only(check_lease({"spec": {}}, NOW)).level == "warn"


def test_the_permissions_that_are_asked_for_are_the_charts() -> None:
    text = HELPERS.read_text().split('{{- define "llmendpoint.rules" -}}')[1].split("{{- end }}")[0]
    rules = yaml.safe_load(text)
    chart = {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert {(group, resource, verb) for group, resource, verbs in NEEDED for verb in verbs} == chart


def test_the_permissions_for_the_lease_are_the_charts() -> None:
    text = (HELPERS.parent / "rbac.yaml").read_text().split("leader-election", 1)[1]
    rules = yaml.safe_load(text.split("rules:")[1].split("---")[0].replace("{{ .Release.Name }}", "me"))
    assert {(verb, "resourceNames" in rule) for rule in rules for verb in rule["verbs"]} == set(LEADING)


def test_the_documentation_counts_the_permissions() -> None:
    needed = [(resource, verbs) for _, resource, verbs in NEEDED]
    count = sum(len(verbs) for _, verbs in needed) + len(LEADING)
    assert f"lacks {len(dict(needed)['pods'])} of {count}" in (ROOT / "docs" / "cli.md").read_text()


def test_permissions_that_are_missing_are_named() -> None:
    one = Review("system:serviceaccount:sys:op", None, "apps", "deployments", "patch", allowed=True)
    none = replace(one, group="", resource="pods", verb="delete", namespace="team", allowed=False)
    assert told(check_permissions((one,))) == [("ok", "sys/op has all 1 permissions that it needs")]
    assert told(check_permissions((one, none))) == [("fail", "sys/op lacks 1 of 2 permissions: delete pods in team")]
    assert told(check_permissions(())) == []


# GPUs.


def node(gpus: int, **spec: Any) -> dict[str, Any]:
    return {"spec": spec, "status": {"allocatable": {"cpu": "8", "nvidia.com/gpu": str(gpus)}}}


def gpu_pod(gpus: int, owner: str | None = None) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "team", "name": "p", "labels": {"llmendpoint.dev/endpoint": owner} if owner else {}},
        "spec": {"nodeName": "n", "containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": gpus}}}]},
        "status": {"phase": "Running"},
    }


def test_gpus_are_enough_when_every_endpoint_at_its_most_fits_beside_the_others() -> None:
    body = endpoint_object(scaling={"maxReplicas": 4})
    pods = [gpu_pod(2, "llama"), gpu_pod(3)]
    assert told(check_gpus([node(4), node(3)], pods, [body])) == [
        ("ok", "nvidia.com/gpu: 7 allocatable, 5 requested (2 by endpoints), 4 needed by endpoints at maxReplicas")
    ]
    short = only(check_gpus([node(4), node(3, unschedulable=True)], pods, [body]))
    assert (short.level, short.found.rpartition(": ")[2]) == ("warn", "3 short")


@pytest.mark.parametrize(
    ("spec", "needed"),
    [
        ({"scaling": {"maxReplicas": 4, "maxGPUs": 3}}, 3),
        ({"scaling": {"maxReplicas": 4, "mode": "DryRun"}, "replicas": 2}, 2),
        (
            {
                "scaling": {
                    "maxReplicas": 4,
                    "schedules": [{"name": "n", "start": "0 8 * * *", "durationSeconds": 60, "maxReplicas": 9}],
                }
            },
            9,
        ),
        ({"replicas": 3, "engine": {"resources": {"limits": {"nvidia.com/gpu": 2}}}}, 6),
    ],
)
def test_the_most_that_an_endpoint_takes(spec: dict[str, Any], needed: int) -> None:
    check = only(check_gpus([node(100)], [], [endpoint_object(**spec)]))
    assert f"{needed} needed by endpoints" in check.found


def test_no_node_with_a_gpu_is_a_failure_only_where_one_is_needed() -> None:
    assert only(check_gpus([], [], [endpoint_object(replicas=1)])).level == "fail"
    assert only(check_gpus([], [], [])).level == "ok"


# Metrics.


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://prometheus.monitoring.svc:9090", "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy"),
        ("https://p.m.svc.cluster.local/base/", "/api/v1/namespaces/m/services/https:p:443/proxy/base"),
        ("http://prometheus.example.com", None),
        ("http://10.0.0.1:9090", None),
        ("http://p.m.svc:port", None),
    ],
)
def test_a_service_is_asked_through_the_api_server(url: str, path: str | None) -> None:
    assert service_proxy(url) == path


def test_metrics_that_do_not_answer_fail_unless_the_operator_reads_them() -> None:
    good, bad = Probe("team/a", "/metrics of pod a-1"), Probe("team/b", "/metrics of pod b-1", "connection refused")
    skipped = Probe("team/c", "a ready replica", "no replica is ready", skipped=True)
    assert told(check_metrics((good, bad, replace(bad, operator_reads=True), skipped))) == [
        ("ok", "1 of 4 scaled endpoints answer, for example /metrics of pod a-1"),
        ("fail", "team/b: /metrics of pod b-1: connection refused"),
        ("warn", "team/b: /metrics of pod b-1: connection refused"),
        ("skip", "team/c: no replica is ready"),
    ]
    assert told(check_metrics(())) == []


# Endpoints.


def with_condition(kind: str, status: str, reason: str) -> dict[str, Any]:
    entry = {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": "why",
        "lastTransitionTime": "2025-06-15T15:00:00Z",
    }
    ready = {**entry, "type": "Ready", "status": "True", "reason": "AllReplicasReady"}
    conditions = [entry] if kind == "Ready" else [ready, entry]
    return endpoint_object(status={"observedGeneration": 1, "conditions": conditions})


@pytest.mark.parametrize(
    ("kind", "status", "reason", "level"),
    [
        ("Ready", "False", "CrashLoop", "fail"),
        ("Ready", "False", "ReplicasStarting", "warn"),
        ("MetricsAvailable", "False", "MetricsUnknown", "fail"),
        ("ScalingActive", "True", "ScalerWarning", "warn"),
        ("Ready", "False", "QueueNotReady", "warn"),
        ("QueueAvailable", "False", "BacklogUnknown", "fail"),
        ("QueueAvailable", "True", "BacklogVolatile", "warn"),
        ("RouteAccepted", "False", "GatewayKindsMissing", "fail"),
        ("RouteAccepted", "Unknown", "RoutePending", "warn"),
    ],
)
def test_each_trouble_of_an_endpoint_has_a_line(kind: str, status: str, reason: str, level: str) -> None:
    checks = list(check_conditions([with_condition(kind, status, reason)], None))
    assert told(checks)[1:] == [(level, f"team/llama: {reason}: why")]


def test_an_endpoint_that_nobody_has_reported_on_fails() -> None:
    checks = list(check_conditions([endpoint_object()], "team"))
    assert told(checks) == [
        ("ok", "0 of 1 are ready in team"), ("fail", "team/llama is new: no operator has reported on it"),
    ]  # fmt: skip


def test_an_object_of_another_version_is_told() -> None:
    body = endpoint_object(scaling={"maxReplicas": "many"})
    assert told(check_conditions([body], None))[1][1].startswith(
        "team/llama is not as this version knows it: scaling.maxReplicas"
    )
    assert only(check_gpus([], [], [body])).level == "ok"
