"""The Service that clients use moves to another backend when that one serves, and not before."""

from typing import Any

import pytest

from llmendpoint.api.endpoint import Endpoint
from llmendpoint.manifests import ManifestDefaults, children
from llmendpoint.reconcile.observation import ChildKey, Observation, observe
from llmendpoint.reconcile.plan import Plan, make_plan
from support.builders import endpoint, pod
from support.stored import stored

NONE: dict[str, Any] = {}
SEPARATE = {"business": {"image": "rag:1", "port": 9000}}
SIDECAR = {"business": {"image": "rag:1", "port": 9000, "placement": "Sidecar"}}
SLEEPS: dict[str, Any] = {"scaling": {"minReplicas": 0, "maxReplicas": 1}}
FRONT, ENGINE, BUSINESS = ("Service", "llama"), ("Deployment", "llama-engine"), ("Deployment", "llama-business")
DONE = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}
ROLLING = {**DONE, "replicas": 2}


def desired(of: Endpoint, *, asleep: bool = False) -> list[dict[str, Any]]:
    return children(of, ManifestDefaults(), asleep=asleep)


def serving(component: str, *ports: str, ready: bool = True) -> dict[str, Any]:
    body = pod(f"llama-{component}-{'-'.join(ports)}", component=component, ready=ready)
    body["spec"] = {"containers": [{"ports": [{"name": port}]} for port in ports]}
    return body


def seen(of: Endpoint, made: list[dict[str, Any]], *pods: dict[str, Any], engine: dict[str, Any]) -> Observation:
    bodies = [stored(body, **(engine if body["metadata"]["name"] == "llama-engine" else DONE)) for body in made]
    return observe(of, bodies, pods)


def plan(at: Observation) -> Plan:
    return make_plan(at, desired=desired(at.endpoint), replicas=1, load={})


def touched(made: Plan) -> set[ChildKey]:
    return {*((body["kind"], body["metadata"]["name"]) for body in made.applies), *made.deletes}


@pytest.mark.parametrize(
    ("old", "new", "before", "stays"),
    [
        (NONE, SEPARATE, serving("engine", "http"), {FRONT}),
        (SEPARATE, SIDECAR, serving("business", "business"), {FRONT, BUSINESS}),
        (SIDECAR, SEPARATE, serving("engine", "http", "business"), {FRONT, ENGINE}),
    ],
    ids=["business added", "into the engine's pod", "out of the engine's pod"],
)
def test_what_serves_stays_until_its_successor_is_ready(
    old: dict[str, Any], new: dict[str, Any], before: dict[str, Any], stays: set[ChildKey]
) -> None:
    at = seen(endpoint(**new), desired(endpoint(**old)), before, engine=DONE)
    assert touched(plan(at)) & {FRONT, ENGINE, BUSINESS} & stays == set()


def test_the_service_moves_when_the_successor_is_rolled_out() -> None:
    of = endpoint(**SIDECAR)
    made = [body for body in desired(of) if body["kind"] != "Service"]
    made += [body for body in desired(endpoint(**SEPARATE)) if body["kind"] == "Service"]
    made += [body for body in desired(endpoint(**SEPARATE)) if body["metadata"]["name"] == "llama-business"]
    pods = (serving("business", "business"), serving("engine", "http", "business"))
    assert FRONT not in touched(plan(seen(of, made, *pods, engine=ROLLING)))
    assert {FRONT, BUSINESS} <= touched(plan(seen(of, made, *pods, engine=DONE)))


def test_a_service_whose_backend_does_not_serve_moves_at_once() -> None:
    at = seen(endpoint(**SEPARATE), desired(endpoint()), serving("engine", "http", ready=False), engine=DONE)
    assert FRONT in touched(plan(at))


@pytest.mark.parametrize("business", [SEPARATE, SIDECAR], ids=["separate", "in the engine's pod"])
def test_the_activator_holds_requests_until_a_business_service_that_is_added_meanwhile_is_ready(
    business: dict[str, Any],
) -> None:
    old, new = endpoint(**SLEEPS), endpoint(**SLEEPS, **business)
    at = seen(new, desired(old, asleep=True), serving("activator", "http"), engine=DONE)
    assert FRONT not in touched(make_plan(at, desired=desired(new, asleep=True), replicas=0, load={}))


def test_removing_the_business_service_moves_to_the_engine_that_serves_already() -> None:
    pods = (serving("business", "business"), serving("engine", "http"))
    at = seen(endpoint(), desired(endpoint(**SEPARATE)), *pods, engine=DONE)
    assert {FRONT, BUSINESS} <= touched(plan(at))
