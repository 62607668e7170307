"""What is read out of plain API objects."""

from typing import Any

import pytest

from llmendpoint.api import names
from llmendpoint.reconcile.observation import observe, rolling_out, view_of
from llmendpoint.scaling.signals import PodPhase
from support.builders import endpoint, pod

UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
GATED = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
SCHEDULED = {"type": "PodScheduled", "status": "True"}


@pytest.mark.parametrize(
    ("situation", "phase"),
    [
        ({}, PodPhase.READY),
        ({"ready": False}, PodPhase.STARTING),
        ({"ready": False, "conditions": [SCHEDULED]}, PodPhase.STARTING),
        ({"ready": False, "conditions": [GATED]}, PodPhase.STARTING),
        ({"ready": False, "conditions": [UNSCHEDULABLE]}, PodPhase.UNSCHEDULABLE),
        ({"deleting": True}, PodPhase.DRAINING),
        ({"deleting": True, "ready": False, "conditions": [UNSCHEDULABLE]}, PodPhase.DRAINING),
    ],
)
def test_where_a_replica_is_in_its_life(situation: dict[str, Any], phase: PodPhase) -> None:
    assert view_of(pod(**situation)).phase is phase


def test_a_pod_that_the_kubelet_has_not_seen_yet_is_starting() -> None:
    body = pod(ready=False)
    del body["status"], body["metadata"]["annotations"]
    view = view_of(body)
    assert (view.phase, view.ip, view.ready_since, view.cold_start) == (PodPhase.STARTING, None, None, None)
    assert (view.never_started, view.deletion_cost) == (False, 0)


@pytest.mark.parametrize(
    ("container", "never_started"),
    [
        ({"started": True, "state": {"running": {}}}, False),
        ({"started": False, "state": {"running": {}}}, True),
        ({"started": False, "state": {"waiting": {"reason": "ContainerCreating"}}}, False),
        ({"started": False, "state": {"terminated": {"exitCode": 1}}}, False),
    ],
)
def test_an_engine_has_come_up_when_it_passed_its_startup_probe(container: dict[str, Any], never_started: bool) -> None:
    business = {"name": "business", "ready": True, "started": True, "state": {"running": {}}}
    view = view_of(pod(ready=False, containers=[business, {"name": "engine", "ready": False, **container}]))
    assert view.never_started == never_started


def test_a_cold_start_lasts_from_creation_to_ready() -> None:
    assert view_of(pod()).cold_start == 90.0
    assert view_of(pod(ready=False)).cold_start is None


def test_a_start_with_a_restart_in_it_teaches_nothing() -> None:
    restarted = {"name": "engine", "ready": True, "restartCount": 1}
    assert view_of(pod(containers=[restarted])).cold_start is None


def test_the_cost_of_a_pod_is_read() -> None:
    assert view_of(pod(annotations={names.ANNOTATION_DELETION_COST: "7"})).deletion_cost == 7


def test_pods_that_have_ended_are_not_seen() -> None:
    seen = observe(endpoint(), [], [pod("b"), pod("failed", phase="Failed"), pod("a"), pod("done", phase="Succeeded")])
    assert [view.name for view in seen.pods] == ["a", "b"]


def test_engine_pods_are_told_from_business_pods() -> None:
    pods = [pod("a"), pod("b", component=names.COMPONENT_BUSINESS), pod("c", ready=False)]
    seen = observe(endpoint(), [], pods)
    assert [view.name for view in seen.engine_pods] == ["a", "c"]
    assert [seen.count(phase) for phase in (PodPhase.READY, PodPhase.STARTING)] == [1, 1]


def child(**metadata: Any) -> dict[str, Any]:
    return {"kind": "Deployment", "metadata": {"name": "llama-engine", **metadata}}


MANAGED = {names.LABEL_MANAGED_BY: names.MANAGED_BY}


@pytest.mark.parametrize(
    ("what", "metadata", "is_child"),
    [
        ("it is owned", {"ownerReferences": [{"uid": "uid-llama"}]}, True),
        ("it has another owner", {"ownerReferences": [{"uid": "other"}], "labels": MANAGED}, False),
        ("a predecessor left it", {"labels": MANAGED}, True),
        ("it only has our label", {"labels": {names.LABEL_ENDPOINT: "llama"}}, False),
        ("it has nothing", {}, False),
    ],
)
def test_only_what_is_the_endpoints_is_its_child(what: str, metadata: dict[str, Any], is_child: bool) -> None:
    seen = observe(endpoint(), [child(**metadata)], [])
    assert (seen.engine_workload is not None) == is_child
    assert seen.workload_of(names.COMPONENT_BUSINESS) is None


@pytest.mark.parametrize(
    ("what", "status", "revised_at", "is_rolling"),
    [
        ("all run the revision", {"observedGeneration": 4, "replicas": 3, "updatedReplicas": 3}, None, False),
        ("some run an older one", {"observedGeneration": 4, "replicas": 4, "updatedReplicas": 1}, None, True),
        ("none runs it yet", {"observedGeneration": 4, "replicas": 3}, None, True),
        ("the controller has not looked", {"observedGeneration": 3, "replicas": 3, "updatedReplicas": 3}, None, True),
        ("it has not looked at a new count", {"observedGeneration": 3, "replicas": 3, "updatedReplicas": 3}, 3, False),
        ("it has not looked at the template", {"observedGeneration": 3, "replicas": 3, "updatedReplicas": 3}, 4, True),
        ("there are no replicas", {"observedGeneration": 4}, None, False),
        ("nothing is known", None, None, True),
    ],
)
def test_a_roll_out_goes_on_until_every_replica_runs_the_revision(
    what: str, status: dict[str, Any] | None, revised_at: int | None, is_rolling: bool
) -> None:
    deployment = {"metadata": {"generation": 4}, "status": status}
    assert rolling_out(deployment, revised_at) == is_rolling


@pytest.mark.parametrize(
    ("pods", "revision"),
    [
        ([], ""),
        ([("a", True)], "a"),
        ([("a", True), ("a", True), ("b", False)], "a"),  # a roll-out whose first pod starts
        ([("a", True), ("b", True)], ""),
        ([("b", True)], "b"),
        ([("", True)], ""),
    ],
)
def test_a_revision_serves_once_all_ready_pods_are_of_it(pods: list[tuple[str, bool]], revision: str) -> None:
    bodies = []
    for number, (hash_, ready) in enumerate(pods):
        body = pod(f"llama-engine-{number}", ready=ready)
        bodies.append({**body, "metadata": {**body["metadata"], "labels": {**body["metadata"]["labels"]}}})
        if hash_:
            bodies[-1]["metadata"]["labels"]["pod-template-hash"] = hash_
    assert observe(endpoint(), [], bodies).serving_revision == revision
