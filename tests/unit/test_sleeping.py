"""The Services move to the activator before the last replica goes, and back when the first one is ready."""

from typing import Any

import pytest

from llmendpoint.api.endpoint import Endpoint
from llmendpoint.manifests import ManifestDefaults, children
from llmendpoint.reconcile.observation import Observation, observe
from llmendpoint.reconcile.plan import Plan, make_plan
from llmendpoint.reconcile.replicas import replicas_of, wanted_replicas
from llmendpoint.reconcile.sleeping import is_asleep, may_hold, redirections
from support.builders import NOW, endpoint, pod
from support.stored import stored

ZERO: dict[str, Any] = {"scaling": {"minReplicas": 0, "maxReplicas": 3}}
ONE: dict[str, Any] = {"scaling": {"minReplicas": 1, "maxReplicas": 3}}
SIDECAR = {"business": {"image": "rag:1", "port": 9901, "placement": "Sidecar"}}
SEPARATE = {"business": {"image": "rag:1", "port": 9000}}
ENGINE, STARTING = pod(), pod(ready=False, containers=[])
ACTIVATOR = pod("llama-activator-1", component="activator")
ACTIVATOR_STARTS = pod("llama-activator-1", component="activator", ready=False)


def made(of: Endpoint, asleep: bool = False, holding: bool = False) -> list[dict[str, Any]]:
    return children(of, ManifestDefaults(), asleep=asleep, holding=holding)


def seen(of: Endpoint, *pods: dict[str, Any], asleep: bool = False, replicas: int = 1) -> Observation:
    bodies = [stored(body, observedGeneration=1) for body in made(of, asleep)]
    for body in bodies:
        if body["metadata"]["name"] == "llama-engine" and body["kind"] == "Deployment":
            body["spec"]["replicas"] = replicas
    return observe(of, bodies, pods)


def plan(at: Observation, desired: int) -> Plan:
    replicas, spec_replicas = wanted_replicas(at, desired)
    wanted = made(at.endpoint, is_asleep(at, desired), may_hold(at))
    return make_plan(at, desired=wanted, replicas=replicas, load={}, spec_replicas=spec_replicas)


def targets(of: Endpoint, asleep: bool) -> dict[str, str]:
    return {
        body["metadata"]["name"]: body["spec"]["selector"]["llmendpoint.dev/component"]
        for body in made(of, asleep)
        if body["kind"] == "Service"
    }


@pytest.mark.parametrize(
    ("spec", "awake", "asleep"),
    [
        ({}, {"llama": "engine", "llama-engine": "engine"}, {"llama": "activator", "llama-engine": "activator"}),
        (
            SIDECAR,
            {"llama": "engine", "llama-engine": "engine"},
            {"llama": "activator", "llama-engine": "activator"},
        ),
        (
            SEPARATE,
            {"llama": "business", "llama-engine": "engine"},
            {"llama": "business", "llama-engine": "activator"},
        ),
    ],
    ids=["engine alone", "sidecar", "separate"],
)
def test_the_services_lead_to_whoever_answers(
    spec: dict[str, Any], awake: dict[str, str], asleep: dict[str, str]
) -> None:
    of = endpoint(**ZERO, **spec)
    assert targets(of, asleep=False) == awake | {"llama-replicas": "engine"}
    assert targets(of, asleep=True) == asleep | {"llama-replicas": "none"}


@pytest.mark.parametrize("spec", [ONE, {}, {"scaling": {**ZERO["scaling"], "mode": "DryRun"}}])
def test_who_never_sleeps_has_no_activator(spec: dict[str, Any]) -> None:
    assert not [body for body in made(endpoint(**spec)) if "activator" in body["metadata"]["name"]]


def test_the_activator_listens_where_the_replicas_do() -> None:
    of = endpoint(**ZERO, **SIDECAR)
    (deployment,) = (
        body for body in made(of) if body["metadata"]["name"] == "llama-activator" and "template" in body["spec"]
    )
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [
        {"name": "http", "containerPort": 8000},
        {"name": "business", "containerPort": 9901},
        {"name": "control", "containerPort": 9902},
    ]
    assert container["args"][:2] == [
        "--route=8000=http://llama-replicas.team.svc:80", "--route=9901=http://llama-replicas.team.svc:81",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "spec", "pods", "desired", "asleep"),
    [
        ("a replica is ready", ZERO, (ENGINE, ACTIVATOR), 1, False),
        ("none is wanted any more", ZERO, (ENGINE, ACTIVATOR), 0, True),
        ("but nobody would hold requests", ZERO, (ENGINE, ACTIVATOR_STARTS), 0, False),
        ("none is ready", ZERO, (STARTING, ACTIVATOR), 1, True),
        ("none is ready and the activator starts", ZERO, (STARTING, ACTIVATOR_STARTS), 1, True),
        ("it drains", ZERO, (pod(deleting=True), ACTIVATOR), 0, True),
        ("it never sleeps", ONE, (STARTING,), 1, False),
    ],
)
def test_the_activator_is_in_the_path_only_while_no_replica_is_ready(
    what: str, spec: dict[str, Any], pods: tuple[dict[str, Any], ...], desired: int, asleep: bool
) -> None:
    assert is_asleep(seen(endpoint(**spec), *pods), desired) is asleep


def test_an_activator_that_is_not_wanted_any_more_stays_until_a_replica_is_ready() -> None:
    before = [stored(body) for body in made(endpoint(**ZERO), asleep=True)]
    of = endpoint(**ONE)
    assert is_asleep(observe(of, before, [STARTING, ACTIVATOR]), 1)
    awake = observe(of, before, [ENGINE, ACTIVATOR])
    assert not is_asleep(awake, 1)
    assert ("Deployment", "llama-activator") in plan(awake, 1).deletes


@pytest.mark.parametrize("activator", [ACTIVATOR, pod("llama-activator-1", component="activator", deleting=True)])
def test_an_activator_that_is_not_wanted_any_more_finds_the_replicas_to_its_end(activator: dict[str, Any]) -> None:
    before = [stored(body) for body in made(endpoint(**ZERO), asleep=True)]
    leaving = plan(observe(endpoint(**ONE), before, [ENGINE, activator]), 1)
    (service,) = (body for body in leaving.applies if body["metadata"]["name"] == "llama-replicas")
    assert service["spec"]["selector"]["llmendpoint.dev/component"] == "engine"
    assert ("Service", "llama-replicas") in plan(observe(endpoint(**ONE), before, [ENGINE]), 1).deletes


@pytest.mark.parametrize("spec", [{}, {"scaling": {**ZERO["scaling"], "mode": "Off"}}], ids=["none", "off"])
def test_an_endpoint_whose_scaler_is_switched_off_while_it_sleeps_wakes(spec: dict[str, Any]) -> None:
    at = seen(endpoint(**ZERO), ACTIVATOR, asleep=True, replicas=0)
    woken = plan(observe(endpoint(**spec), at.children.values(), [ACTIVATOR]), 0)
    assert woken.scale is not None
    assert (woken.scale.replicas, woken.spec_replicas) == (1, 1)
    assert (woken.applies, woken.deletes) == ((), ())


def test_the_last_replica_goes_when_the_services_are_seen_to_have_moved() -> None:
    of = endpoint(**ZERO)
    first = plan(seen(of, ENGINE, ACTIVATOR), 0)
    assert [body["metadata"]["name"] for body in first.applies] == ["llama-replicas", "llama", "llama-engine"]
    assert first.scale is None
    second = plan(seen(of, ENGINE, ACTIVATOR, asleep=True), 0)
    assert second.applies == ()
    assert second.scale is not None
    assert second.scale.replicas == 0


def test_the_last_replica_stays_where_the_activator_is_lost_in_between() -> None:
    back = plan(seen(endpoint(**ZERO), ENGINE, ACTIVATOR_STARTS, asleep=True), 0)
    assert [body["metadata"]["name"] for body in back.applies] == ["llama-replicas", "llama", "llama-engine"]
    assert back.scale is None


def test_the_first_replica_is_ordered_at_once_and_gets_the_services_when_it_is_ready() -> None:
    of = endpoint(**ZERO)
    woken = plan(seen(of, ACTIVATOR, asleep=True, replicas=0), 1)
    assert woken.applies == ()
    assert woken.scale is not None
    assert woken.scale.replicas == 1
    ready = plan(seen(of, ENGINE, ACTIVATOR, asleep=True), 1)
    assert [body["metadata"]["name"] for body in ready.applies] == ["llama-replicas", "llama", "llama-engine"]


@pytest.mark.parametrize("spec", [{}, SIDECAR, SEPARATE], ids=["engine alone", "sidecar", "separate"])
@pytest.mark.parametrize("asleep", [False, True])
def test_with_a_spec_that_can_not_be_done_the_services_are_as_before_and_lead_to_whoever_answers(
    spec: dict[str, Any], asleep: bool
) -> None:
    at = seen(endpoint(**ZERO, **spec), ACTIVATOR, asleep=not asleep)
    broken = observe(endpoint(**ZERO, business={"image": "rag:2", "port": 9}), at.children.values(), [ACTIVATOR])
    made_at_once = make_plan(broken, desired=redirections(broken, asleep=asleep), replicas=1, load={}, is_whole=False)
    moved = [body for body in made(endpoint(**ZERO, **spec), asleep) if body["kind"] == "Service"]
    moved = [body for body in moved if body["metadata"]["labels"]["llmendpoint.dev/component"] == "engine"]
    assert list(made_at_once.applies) == moved
    assert made_at_once.deletes == ()


def test_with_a_spec_that_can_not_be_done_and_no_activator_nothing_moves() -> None:
    at = seen(endpoint(), STARTING)
    assert redirections(observe(endpoint(**ZERO), at.children.values(), [STARTING]), asleep=True) == []


@pytest.mark.parametrize(
    ("spec", "pods", "covered"),
    [
        (ZERO, (ACTIVATOR,), True),
        (ZERO, (ACTIVATOR_STARTS,), False),
        ({"scaling": {**ZERO["scaling"], "mode": "DryRun"}}, (), True),  # it decides as if
    ],
)
def test_the_scaler_is_told_whether_requests_would_be_held(
    spec: dict[str, Any], pods: tuple[dict[str, Any], ...], covered: bool
) -> None:
    assert replicas_of(seen(endpoint(**spec), *pods), NOW).is_covered is covered
