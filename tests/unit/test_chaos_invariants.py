"""What the chaos suite finds in an audit log: records as a hand would write them, one thing wrong in each test."""

from datetime import UTC, datetime, timedelta
from typing import Any

from chaos import audit
from chaos.audit import Record
from chaos.invariants import Span, violations
from llmendpoint.api.names import MANAGER_SCALER

OPERATOR = "system:serviceaccount:llmendpoint-system:operator"
COLLECTOR = "system:serviceaccount:kube-system:generic-garbage-collector"
NOON = datetime(2025, 6, 15, 12, 0, tzinfo=UTC)
DEPLOYMENT = "/apis/apps/v1/namespaces/team/deployments/llama-engine"
SCALING = {"minReplicas": 1, "maxReplicas": 4, "scaleIn": {"cooldownSeconds": 60}}
BUSY = Span("team", NOON, NOON + timedelta(minutes=5), "in", "each engine had 40 requests")


def write(second: float, verb: str, resource: str, name: str, body: dict[str, Any], **others: str) -> Record:
    """One of the operator's."""
    who = {"who": OPERATOR, "agent": "python", "manager": "llmendpoint", **others}
    return Record(
        at=NOON + timedelta(seconds=second), verb=verb, resource=resource, namespace="team", name=name, body=body, **who
    )


def created(second: float = 0.0, **scaling: Any) -> Record:
    """The user's."""
    body = {"spec": {"scaling": {**SCALING, **scaling}}}
    return write(second, "create", "llmendpoints", "llama", body, who="jane", agent="kubectl")


def wants(second: float, count: int, **scaling: Any) -> Record:
    """A status that says so; ``last_in`` and ``last_out`` are the seconds of the last changes."""
    times = {"lastScaleInTime": scaling.get("last_in"), "lastScaleOutTime": scaling.get("last_out")}
    told = {name: (NOON + timedelta(seconds=at)).isoformat() for name, at in times.items() if at is not None}
    body = {"spec": {"scaling": SCALING}, "status": {"scaling": {"desiredReplicas": count, **told}}}
    return write(second, "patch", "llmendpoints/status", "llama", body)


def scales(second: float, count: int, **others: str) -> Record:
    return write(
        second, "patch", "deployments", "llama-engine", {"spec": {"replicas": count}}, manager=MANAGER_SCALER, **others
    )


def deletes(second: float, resource: str, name: str, who: str = OPERATOR) -> Record:
    return write(second, "delete", resource, name, {}, who=who)


def sentences(*records: Record, spans: tuple[Span, ...] = ()) -> list[str]:
    return violations(records, spans, operator=OPERATOR)


def test_a_scale_out_and_a_scale_in_are_right() -> None:
    assert not sentences(
        created(), wants(1, 1), scales(2, 1), wants(10, 3), scales(11, 3), wants(90, 2, last_in=90), scales(91, 2)
    )


def test_a_count_above_the_maximum_is_told_with_who_wrote_it() -> None:
    assert sentences(created(), wants(1, 4), wants(2.5, 5), scales(3, 5)) == [
        f"12:00:02.500 patch of llmendpoints/status team/llama by {OPERATOR} (python): "
        "5 replicas, where the bounds are 1 to 4",
        f"12:00:03.000 patch of deployments team/llama-engine by {OPERATOR} (python): "
        "5 replicas, where the bounds are 1 to 4",
    ]


def test_a_count_below_the_minimum_is_told_and_the_bounds_are_those_of_the_moment() -> None:
    before, after = created(), created(5, minReplicas=2)
    assert not sentences(before, wants(1, 1), after, wants(6, 2))
    (sentence,) = sentences(before, wants(1, 2), after, wants(6, 1))
    assert "1 replicas, where the bounds are 2 to 4" in sentence


def test_the_count_is_free_where_nobody_scales() -> None:
    off = write(0, "create", "llmendpoints", "llama", {"spec": {"replicas": 9}}, who="jane")
    assert not sentences(off, scales(1, 9))


def test_a_scale_in_while_the_engines_are_busy_is_told_with_the_reason() -> None:
    (sentence,) = sentences(created(), wants(1, 3), scales(2, 3), wants(60, 2), scales(61, 2), spans=(BUSY,))
    assert sentence.endswith("3 -> 2 replicas, although each engine had 40 requests since 12:00:00")


def test_a_change_is_judged_by_the_spans_of_its_namespace_direction_and_time() -> None:
    records = [created(), wants(1, 3), wants(60, 2), wants(120, 3)]
    elsewhere = Span("other", BUSY.begin, BUSY.end, "in", "")
    later = Span("team", NOON + timedelta(seconds=58), BUSY.end, "in", "")
    earlier = Span("team", BUSY.begin, NOON + timedelta(seconds=59), "in", "")
    assert not sentences(*records, spans=(elsewhere, later, earlier))
    idle = Span("team", BUSY.begin, BUSY.end, "out", "each engine had 0 requests")
    (sentence,) = sentences(*records, spans=(idle,))
    assert "2 -> 3" in sentence


def test_a_second_scale_in_within_the_cooldown_is_told() -> None:
    (sentence,) = sentences(created(), wants(1, 4), wants(10, 3, last_in=10), wants(50, 2, last_in=50))
    assert sentence.endswith("a scale-in 40 s after the last one, where the cooldown is 60 s")
    assert not sentences(created(), wants(1, 4), wants(10, 3, last_in=10), wants(70, 2, last_in=70))


def test_a_scale_out_between_them_ends_the_cooldown() -> None:
    assert not sentences(
        created(), wants(1, 4), wants(10, 3, last_in=10), wants(20, 4, last_in=10, last_out=20),
        wants(30, 3, last_in=30, last_out=20),
    )  # fmt: skip


def test_two_scale_ins_that_reach_the_api_server_late_are_judged_by_their_decisions() -> None:
    assert not sentences(created(), wants(1, 4), wants(200, 3, last_in=10), wants(200.1, 2, last_in=71))


def test_a_count_that_the_status_did_not_say_first_is_told() -> None:
    (sentence,) = sentences(created(), wants(1, 3), scales(2, 3), scales(3, 2))
    assert sentence.endswith("2 replicas, where the status says that 3 are wanted")
    assert not sentences(created(), wants(1, 3), scales(2, 3), scales(3, 9, who="jane"))


def test_a_child_that_is_deleted_while_its_endpoint_lives_is_told() -> None:
    (sentence,) = sentences(created(), deletes(5, "services", "llama"))
    assert sentence.endswith("its endpoint is there")
    for who in ({"who": COLLECTOR}, {"who": "kubernetes-admin", "agent": COLLECTOR}):
        (sentence,) = sentences(created(), write(5, "delete", "deployments", "llama-engine", {}, **who))
        assert "generic-garbage-collector" in sentence


def test_what_the_user_deletes_or_belongs_to_a_deleted_endpoint_may_go() -> None:
    assert not sentences(created(), deletes(5, "services", "llama", "jane"))
    assert not sentences(
        created(), deletes(5, "llmendpoints", "llama", "jane"), deletes(6, "deployments", "llama-engine", COLLECTOR)
    )
    assert not sentences(created(), deletes(5, "services", "llamas"))


def test_the_operator_deletes_no_pod_that_nobody_deleted_before() -> None:
    pod, controller = "llama-engine-5d8f-x7k2p", "system:serviceaccount:kube-system:replicaset-controller"
    assert not sentences(created(), deletes(5, "pods", pod, controller), deletes(6, "pods", pod))
    assert not sentences(created(), deletes(6, "pods", pod), deletes(5, "pods", pod, controller))  # answered later
    evicted = write(5, "create", "pods/eviction", pod, {}, who="jane")
    assert not sentences(created(), evicted, deletes(6, "pods", pod))
    (sentence,) = sentences(created(), deletes(6, "pods", pod))
    assert sentence.endswith("nobody had deleted it before")


def event(version: int, **changes: Any) -> dict[str, Any]:
    """One of the API server's log."""
    return {
        "stage": "ResponseComplete",
        "requestURI": f"{DEPLOYMENT}?fieldManager=llmendpoint-scaler&force=true",
        "verb": "patch",
        "user": {"username": OPERATOR},
        "userAgent": "OpenAPI-Generator/37.0.2/python extra",
        "objectRef": {"resource": "deployments", "namespace": "team", "name": "llama-engine"},
        "responseStatus": {"code": 200},
        "responseObject": {
            "kind": "Deployment", "metadata": {"resourceVersion": str(version)}, "spec": {"replicas": version}
        },
        "requestReceivedTimestamp": "2025-06-15T12:00:01.500000Z",
        **changes,
    }  # fmt: skip


def test_an_event_becomes_a_record() -> None:
    (record,) = audit.writes([event(7)])
    assert record == Record(
        at=NOON + timedelta(seconds=1.5), who=OPERATOR, agent="OpenAPI-Generator/37.0.2/python", manager=MANAGER_SCALER,
        verb="patch", resource="deployments", namespace="team", name="llama-engine",
        body={"kind": "Deployment", "metadata": {"resourceVersion": "7"}, "spec": {"replicas": 7}},
    )  # fmt: skip


def test_a_controller_is_named_where_all_of_them_are_one_user() -> None:
    agent = f"kube-controller-manager/v1.36.3 (linux/amd64) kubernetes/0123456/{COLLECTOR}"
    (record,) = audit.writes([event(7, user={"username": "kubernetes-admin"}, userAgent=agent)])
    assert (record.who, record.agent) == ("kubernetes-admin", COLLECTOR)


def test_what_was_refused_or_only_tried_is_no_write() -> None:
    tried = event(7, requestURI=f"{DEPLOYMENT}?dryRun=All")
    assert not audit.writes([event(7, responseStatus={"code": 409}), tried])


def test_records_are_in_the_order_in_which_they_were_stored() -> None:
    evicted = {"objectRef": {"resource": "pods", "subresource": "eviction", "namespace": "team", "name": "p"}}
    nothing = {"responseObject": {"kind": "Status"}}
    found = audit.writes([event(5), event(9), event(8), event(0, **evicted, **nothing), event(10)])
    assert [record.version for record in found] == [5, 8, 9, None, 10]
    assert found[3].resource == "pods/eviction"
