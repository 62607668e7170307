"""What is written, and what is left alone."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.manifests import ManifestDefaults, children
from llmendpoint.reconcile.observation import Observation, observe
from llmendpoint.reconcile.plan import Plan, Scale, fingerprint, make_plan
from support.builders import endpoint, pod
from support.stored import stored

BUSINESS = {"image": "rag:1", "replicas": {"min": 1, "max": 3}}
ENGINE_KEY, BUSINESS_KEY = ("Deployment", "llama-engine"), ("Deployment", "llama-business")
ROLLED_OUT = {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3}
ROLLING = {"observedGeneration": 1, "replicas": 4, "updatedReplicas": 1, "readyReplicas": 3}


def desired(of: Endpoint) -> list[dict[str, Any]]:
    return children(of, ManifestDefaults())


def settled(of: Endpoint, *pods: Mapping[str, Any], engine: Mapping[str, Any] = ROLLED_OUT) -> Observation:
    """All children are there as they were applied for ``of``, with three engine replicas."""
    made = [
        stored(child, **(engine if child["metadata"]["name"] == "llama-engine" else ROLLED_OUT))
        for child in desired(of)
    ]
    for child in made:
        if child["metadata"]["name"] == "llama-engine":
            child["spec"] = {**child["spec"], "replicas": 3}
    return observe(of, made, pods)


def plan(seen: Observation, replicas: int | None = 3, **more: Any) -> Plan:
    return make_plan(seen, **{"desired": desired(seen.endpoint), "replicas": replicas, "load": {}} | more)


def applied(made: Plan) -> list[tuple[str, str]]:
    return [(body["kind"], body["metadata"]["name"]) for body in made.applies]


def edited(seen: Observation, key: tuple[str, str], **metadata: Any) -> dict[str, Any]:
    child = copy.deepcopy(dict(seen.children[key]))
    child["metadata"] |= metadata
    return child


def with_child(seen: Observation, child: Mapping[str, Any]) -> Observation:
    return observe(seen.endpoint, [*seen.children.values(), child], [view.body for view in seen.pods])


def test_all_children_of_a_new_endpoint_are_applied_in_order() -> None:
    new = endpoint(business=BUSINESS, model={"source": "hf://a/b", "cache": {"size": "1Gi"}})
    made = plan(observe(new, [], []), 2)
    assert applied(made) == [
        ("PersistentVolumeClaim", "llama-cache"),
        ("Service", "llama"),
        ("Service", "llama-engine"),
        ENGINE_KEY,
        BUSINESS_KEY,
        ("HorizontalPodAutoscaler", "llama-business"),
        ("PodDisruptionBudget", "llama-engine"),
        ("PodDisruptionBudget", "llama-business"),
    ]
    assert made.scale == Scale(("Deployment", "llama-engine"), None, 2)


def test_nothing_is_written_when_nothing_has_changed() -> None:
    assert plan(settled(endpoint(business=BUSINESS))).is_empty


@pytest.mark.parametrize("replicas", [1, 3, 5, None])
def test_the_count_is_written_when_it_is_another(replicas: int | None) -> None:
    made = plan(settled(endpoint()), replicas)
    assert made.scale == (None if replicas in (3, None) else Scale(("Deployment", "llama-engine"), 3, replicas))
    assert made.is_empty == (made.scale is None)


def test_where_the_children_are_to_stay_as_they_are_the_count_is_written_all_the_same() -> None:
    seen = settled(endpoint(business=BUSINESS))
    changed = observe(endpoint(engine={"env": [{"name": "A", "value": "1"}]}), seen.children.values(), [])
    made = plan(changed, 5, desired=[], is_whole=False)
    assert (made.applies, made.deletes, made.scale) == ((), (), Scale(("Deployment", "llama-engine"), 3, 5))


def test_what_is_to_be_written_into_the_endpoint_is_handed_through() -> None:
    made = plan(settled(endpoint()), spec_replicas=3)
    assert made.spec_replicas == 3
    assert not made.is_empty


def test_a_changed_spec_is_applied_where_it_matters() -> None:
    seen = settled(endpoint())
    changed = endpoint(engine={"args": ["--max-model-len=4096"]})
    assert applied(plan(observe(changed, seen.children.values(), []))) == [ENGINE_KEY]


def test_an_edited_child_is_applied_again() -> None:
    seen = settled(endpoint())
    child = edited(seen, ENGINE_KEY)
    child["spec"]["template"]["spec"]["containers"][0]["image"] = "somebody/elses:1"
    assert applied(plan(with_child(seen, child))) == [ENGINE_KEY]


@pytest.mark.parametrize("annotations", [None, {}, {names.ANNOTATION_HASH: "of another operator"}])
def test_a_child_without_our_hash_is_applied_again(annotations: Any) -> None:
    seen = settled(endpoint(business=BUSINESS))
    for key in (ENGINE_KEY, BUSINESS_KEY):
        seen = with_child(seen, edited(seen, key, annotations=annotations))
    # The engine's hash is unknown, so the business service waits for it.
    assert applied(plan(seen)) == [ENGINE_KEY]


def test_a_child_that_is_being_deleted_is_applied_again() -> None:
    seen = settled(endpoint())
    gone = edited(seen, ("Service", "llama"), deletionTimestamp="2025-06-15T15:00:00Z")
    assert applied(plan(with_child(seen, gone))) == [("Service", "llama")]


def test_a_child_that_the_api_server_stores_in_its_own_way_is_left_alone_once_accepted() -> None:
    seen = settled(endpoint())
    child = edited(seen, ENGINE_KEY)
    child["spec"]["template"]["spec"]["containers"][0]["args"][0] = "in another form"
    odd = with_child(seen, child)
    accepted = {ENGINE_KEY: fingerprint(child)}
    assert applied(plan(odd)) == [ENGINE_KEY]
    assert plan(odd, accepted=accepted).is_empty
    child = copy.deepcopy(child)
    child["spec"]["minReadySeconds"] = 5
    assert applied(plan(with_child(odd, child), accepted=accepted)) == [ENGINE_KEY]


def test_lost_labels_of_an_accepted_child_are_put_back() -> None:
    seen = settled(endpoint())
    child = edited(seen, ENGINE_KEY, labels={names.LABEL_ENDPOINT: "llama"})
    assert applied(plan(with_child(seen, child), accepted={ENGINE_KEY: fingerprint(child)})) == [ENGINE_KEY]


def test_what_the_spec_no_longer_asks_for_is_deleted() -> None:
    seen = settled(endpoint(business=BUSINESS))
    made = plan(observe(endpoint(), seen.children.values(), []))
    assert made.deletes == (
        BUSINESS_KEY,
        ("HorizontalPodAutoscaler", "llama-business"),
        ("PodDisruptionBudget", "llama-business"),
    )


def test_what_is_going_already_is_not_deleted_again() -> None:
    seen = settled(endpoint(business=BUSINESS))
    going = [
        edited(seen, key, deletionTimestamp="2025-06-15T15:00:00Z") for key in seen.children if "business" in key[1]
    ]
    kept = [body for key, body in seen.children.items() if "business" not in key[1]]
    assert plan(observe(endpoint(), [*kept, *going], [])).deletes == ()


@pytest.mark.parametrize("owners", [None, [], [{"kind": "LLMEndpoint", "name": "llama", "uid": "a namesake's"}]])
def test_what_only_has_our_label_is_left_alone(owners: Any) -> None:
    seen = settled(endpoint())
    foreign = edited(seen, ("Service", "llama"), name="by-hand", ownerReferences=owners)
    made = plan(with_child(seen, foreign))
    assert made.is_empty


def test_a_copy_of_the_engine_is_not_taken_for_it() -> None:
    seen = settled(endpoint())
    copied = edited(seen, ENGINE_KEY, name="a-copy")
    copied["spec"]["replicas"] = 9
    made = plan(observe(seen.endpoint, [copied, *seen.children.values()], []))
    assert made.deletes == (("Deployment", "a-copy"),)
    assert made.scale is None


# A new revision of the business service waits until the engine has been rolled out.

NEW_BUSINESS = {**BUSINESS, "image": "rag:2"}


def business_changed(running: Mapping[str, Any], **spec: Any) -> Plan:
    seen = settled(endpoint(business=BUSINESS), engine=running)
    return plan(observe(endpoint(**{"business": NEW_BUSINESS} | spec), seen.children.values(), []))


def test_a_new_business_revision_goes_at_once_when_only_it_has_changed() -> None:
    assert applied(business_changed(ROLLED_OUT)) == [BUSINESS_KEY]


def test_a_new_business_revision_waits_while_the_engine_rolls_out() -> None:
    assert applied(business_changed(ROLLING)) == []


def test_a_new_business_revision_waits_when_both_have_changed() -> None:
    assert applied(business_changed(ROLLED_OUT, engine={"args": ["--max-model-len=4096"]})) == [ENGINE_KEY]


def test_the_other_children_of_the_business_service_do_not_wait() -> None:
    bounds = {**NEW_BUSINESS, "replicas": {"min": 1, "max": 5}}
    assert applied(business_changed(ROLLING, business=bounds)) == [("HorizontalPodAutoscaler", "llama-business")]


def test_an_edit_of_the_business_service_by_hand_is_repaired_at_once() -> None:
    seen = settled(endpoint(business=BUSINESS), engine=ROLLING)
    child = edited(seen, BUSINESS_KEY)
    child["spec"]["template"]["spec"]["containers"][0]["image"] = "somebody/elses:1"
    assert applied(plan(with_child(seen, child))) == [BUSINESS_KEY]


def test_the_first_revision_of_the_business_service_does_not_wait() -> None:
    seen = settled(endpoint(), engine=ROLLING)
    assert BUSINESS_KEY in applied(plan(observe(endpoint(business=BUSINESS), seen.children.values(), [])))


def test_the_business_service_does_not_wait_for_an_engine_that_was_deleted() -> None:
    seen = settled(endpoint(business=BUSINESS))
    kept = [body for key, body in seen.children.items() if key != ENGINE_KEY]
    made = plan(observe(endpoint(business=NEW_BUSINESS), kept, []))
    assert applied(made) == [ENGINE_KEY, BUSINESS_KEY]


# A scale-in takes the replica with the fewest requests.

LOAD = {"a": 7.0, "b": 0.0, "c": 2.4, "gone": 3.0}


def costs(replicas: int, *pods: Mapping[str, Any], load: Mapping[str, float] = LOAD) -> Mapping[str, int]:
    return plan(settled(endpoint(), *pods), replicas, load=load).costs


def test_costs_are_the_requests_in_flight() -> None:
    assert costs(1, pod("a"), pod("b"), pod("c")) == {"a": 7, "c": 2}


@pytest.mark.parametrize("replicas", [3, 5])
def test_costs_are_written_before_a_scale_in_only(replicas: int) -> None:
    assert costs(replicas, pod("a")) == {}


def test_a_cost_that_is_there_is_not_written_again() -> None:
    assert costs(1, pod("a", annotations={names.ANNOTATION_DELETION_COST: "7"})) == {}


def test_a_replica_that_has_become_idle_gets_its_old_cost_taken_away() -> None:
    assert costs(1, pod("b", annotations={names.ANNOTATION_DELETION_COST: "7"})) == {"b": 0}


def test_replicas_that_do_not_serve_or_were_not_read_have_no_cost() -> None:
    assert costs(1, pod("a", ready=False), pod("c", deleting=True), pod("unread")) == {}


@pytest.mark.parametrize(("read", "cost"), [(float("inf"), 10**9), (float("nan"), 0), (-3.0, 0)])
def test_a_broken_reading_is_no_broken_cost(read: float, cost: int) -> None:
    annotations = {names.ANNOTATION_DELETION_COST: "1"}
    assert costs(1, pod("a", annotations=annotations), load={"a": read}) == {"a": cost}


def test_business_pods_have_no_cost() -> None:
    assert costs(1, pod("a", component=names.COMPONENT_BUSINESS)) == {}


LOADING = [{"name": "engine", "ready": False, "started": False, "state": {"running": {}}}]
WAITING = [{"name": "engine", "ready": False, "started": False, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]


@pytest.mark.parametrize(
    ("situation", "evicted"),
    [
        ({"deleting": True, "ready": False, "containers": LOADING}, True),
        ({"deleting": True, "ready": False, "containers": LOADING, "grace": 5}, False),  # shortened already
        ({"deleting": True, "ready": False, "containers": WAITING}, False),  # nothing runs, so it goes by itself
        ({"deleting": True, "ready": False, "containers": []}, False),
        ({"deleting": True}, False),  # it has served and drains
        ({"deleting": False, "ready": False, "containers": LOADING}, False),
    ],
)
def test_a_terminating_replica_that_never_served_is_not_waited_for(situation: dict[str, Any], evicted: bool) -> None:
    made = plan(settled(endpoint(), pod("a", **situation)))
    assert [view.name for view in made.evictions] == (["a"] if evicted else [])
    assert made.is_empty != evicted


@pytest.mark.parametrize("served", [True, False])
def test_a_kind_that_is_not_served_is_neither_applied_nor_deleted(served: bool) -> None:
    kinds, key = frozenset({"HTTPRoute"} if served else ()), ("HTTPRoute", "llama")
    seen = replace(settled(endpoint()), served=kinds)
    route = {**next(body for body in desired(seen.endpoint) if body["kind"] == "Service"), "kind": "HTTPRoute"}
    route["metadata"] = {**route["metadata"], "name": "llama"}
    assert (key in applied(plan(seen, desired=[*desired(seen.endpoint), route]))) == served
    there = {**edited(seen, ("Service", "llama")), "kind": "HTTPRoute"}
    assert (key in plan(replace(with_child(seen, there), served=kinds)).deletes) == served
