"""What spec.gateway becomes, and what is said of it."""

from collections.abc import Mapping
from typing import Any

import pytest

from llmendpoint.api import names
from llmendpoint.api.conditions import ConditionType, Reason
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.api.status import Condition, EndpointStatus
from llmendpoint.manifests import ManifestDefaults, children
from llmendpoint.manifests.gateway import gateway_children
from llmendpoint.reconcile.drift import agrees
from llmendpoint.reconcile.gateway import leads_to_replicas
from llmendpoint.reconcile.observation import observe
from llmendpoint.reconcile.status import Outcome, make_status
from support.builders import endpoint, pod
from support.stored import stored

ALL = names.OPTIONAL_KINDS
NO_POOLS = ALL - {"InferencePool"}
PUBLIC = {"name": "public", "namespace": "gateways"}
POOL = {"endpointPickerRef": {"name": "picker", "port": 9002}}
INSIDE = "http://llama.team.svc:80"


def of_gateway(business: Mapping[str, Any] | None = None, **gateway: Any) -> Endpoint:
    more = {"business": business} if business else {}
    return endpoint(gateway={"parentRefs": [PUBLIC], **gateway}, **more)


def made(of: Endpoint, served: frozenset[str] = ALL) -> dict[str, dict[str, Any]]:
    return {body["kind"]: body for body in gateway_children(of, served)}


def said(parent: Mapping[str, Any] = PUBLIC, generation: int = 1, **refusals: str) -> dict[str, Any]:
    """What a Gateway says of a route: all is well but for what is refused, by condition."""
    entries = [
        {
            "type": kind,
            "status": "False" if kind in refusals else "True",
            "reason": refusals.get(kind, kind),
            "message": "in its words",
            "observedGeneration": generation,
        }
        for kind in ("Accepted", "ResolvedRefs")
    ]
    return {"parentRef": {**parent, "kind": "Gateway"}, "controllerName": "acme.test/gateway", "conditions": entries}


def status_of(of: Endpoint, *parents: dict[str, Any], served: frozenset[str] = ALL, pool: Any = ()) -> EndpointStatus:
    said_of = {"HTTPRoute": parents, "InferencePool": pool}
    there = [stored(body, parents=list(said_of[body["kind"]])) for body in _hashed(of, served)]
    return make_status(observe(of, there, [], served), Outcome(desired=1), now="2025-06-15T15:00:00Z")


def _hashed(of: Endpoint, served: frozenset[str]) -> list[dict[str, Any]]:
    made = children(of, ManifestDefaults(), served=served)
    return [body for body in made if body["kind"] in ALL & served]


def accepted(status: EndpointStatus) -> Condition:
    return next(entry for entry in status.conditions if entry.type == ConditionType.ROUTE_ACCEPTED)


@pytest.mark.parametrize("placement", [None, "Separate", "Sidecar"])
def test_the_route_leads_to_the_service_that_clients_use(placement: str | None) -> None:
    business = {"image": "rag:1", "placement": placement} if placement else None
    (rule,) = made(of_gateway(business))["HTTPRoute"]["spec"]["rules"]
    assert rule["backendRefs"] == [{"group": "", "kind": "Service", "name": "llama", "port": 80}]


def test_no_stream_is_cut_by_the_route() -> None:
    (rule,) = made(of_gateway())["HTTPRoute"]["spec"]["rules"]
    assert rule["timeouts"] == {"request": "0s", "backendRequest": "0s"}


def test_parents_and_host_names_are_passed_on() -> None:
    parents = [{**PUBLIC, "sectionName": "https", "port": 8443}, {"name": "private"}]
    spec = made(of_gateway(parentRefs=parents, hostnames=["a.example", "*.b.example"]))["HTTPRoute"]["spec"]
    assert (spec["parentRefs"], spec["hostnames"]) == (parents, ["a.example", "*.b.example"])
    assert "hostnames" not in made(of_gateway())["HTTPRoute"]["spec"]


def test_a_pool_is_of_the_engine_s_pods_and_ports() -> None:
    found = made(endpoint(engine={"type": "SGLang"}, gateway={"parentRefs": [PUBLIC], "inferencePool": POOL}))
    spec = found["InferencePool"]["spec"]
    assert spec["selector"] == {"matchLabels": {names.LABEL_ENDPOINT: "llama", names.LABEL_COMPONENT: "engine"}}
    assert spec["targetPorts"] == [{"number": 30000}]
    assert spec["endpointPickerRef"] == {"name": "picker", "port": {"number": 9002}, "failureMode": "FailClose"}
    (rule,) = found["HTTPRoute"]["spec"]["rules"]
    assert rule["backendRefs"] == [{"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": "llama"}]


def test_without_pools_in_the_cluster_the_route_leads_to_the_service() -> None:
    found = made(of_gateway(inferencePool=POOL), NO_POOLS)
    assert list(found) == ["HTTPRoute"]
    (rule,) = found["HTTPRoute"]["spec"]["rules"]
    assert rule["backendRefs"][0]["kind"] == "Service"


POOLED = {"engine": {"type": "vLLM"}, "gateway": {"parentRefs": [PUBLIC], "inferencePool": POOL}}


def serving(port: int, **situation: Any) -> dict[str, Any]:
    body = pod(f"llama-engine-{port}", **situation)
    body["spec"] = {"containers": [{"name": "engine", "ports": [{"name": "http", "containerPort": port}]}]}
    return body


@pytest.mark.parametrize(
    ("what", "pods", "asleep", "leads"),
    [
        ("none yet", [], False, True),
        ("its engine", [serving(8000)], False, True),
        ("another engine before a roll-out", [serving(30000), serving(8000, ready=False)], False, False),
        ("another engine in a roll-out", [serving(30000), serving(8000)], False, False),
        ("another engine that drains", [serving(30000, deleting=True), serving(8000)], False, True),
        ("the activator", [], True, False),
    ],
)
def test_a_route_leads_to_a_pool_only_where_that_leads_to_all_that_serves(
    what: str, pods: list[dict[str, Any]], asleep: bool, leads: bool
) -> None:
    of = endpoint(**POOLED)
    pooled = leads_to_replicas(observe(of, [], pods, ALL), asleep=asleep)
    found = {body["kind"]: body for body in children(of, ManifestDefaults(), pooled=pooled)}
    (rule,) = found["HTTPRoute"]["spec"]["rules"]
    assert rule["backendRefs"][0]["kind"] == ("InferencePool" if leads else "Service")
    assert "InferencePool" in found


def test_without_spec_gateway_there_is_nothing_of_it() -> None:
    assert made(endpoint()) == {}
    assert ConditionType.ROUTE_ACCEPTED not in {entry.type for entry in status_of(endpoint()).conditions}


@pytest.mark.parametrize(
    ("gateway", "url"),
    [
        ({}, INSIDE),
        ({"hostnames": ["*.example.com"]}, INSIDE),
        ({"hostnames": ["*.example.com", "llama.example.com"]}, "http://llama.example.com"),
        ({"hostnames": ["llama.example.com"], "scheme": "https"}, "https://llama.example.com"),
        ({"hostnames": ["a.example"], "parentRefs": [{**PUBLIC, "port": 80}]}, "http://a.example"),
        ({"hostnames": ["a.example"], "parentRefs": [{**PUBLIC, "port": 8080}]}, "http://a.example:8080"),
    ],
)
def test_the_url_is_the_host_name_s_once_the_route_is_accepted(gateway: dict[str, Any], url: str) -> None:
    of = of_gateway(**gateway)
    assert status_of(of).url == INSIDE
    assert status_of(of, said(gateway.get("parentRefs", [PUBLIC])[0])).url == url


def test_the_url_has_the_port_of_a_gateway_that_leads_there() -> None:
    parents = [{**PUBLIC, "port": 8443}, {"name": "private", "port": 8080}]
    of = of_gateway(parentRefs=parents, hostnames=["a.example"])
    assert status_of(of, said(parents[0], Accepted="NotSo"), said(parents[1])).url == "http://a.example:8080"
    assert status_of(of, *map(said, parents)).url == "http://a.example:8443"


@pytest.mark.parametrize("change", [{"hostnames": ["b.example"]}, {"parentRefs": [PUBLIC, {"name": "private"}]}])
def test_what_gateways_say_of_a_route_that_is_not_as_the_spec_has_it_does_not_count(change: dict[str, Any]) -> None:
    before = [stored(body, parents=[said()]) for body in _hashed(of_gateway(hostnames=["a.example"]), ALL)]
    after = of_gateway(**{"hostnames": ["a.example"], **change})
    for there in (before, []):  # a change that was refused, and a route that was
        status = make_status(observe(after, there, [], ALL), Outcome(desired=1), now="2025-06-15T15:00:00Z")
        assert (accepted(status).status, accepted(status).reason) == ("Unknown", Reason.ROUTE_PENDING)
        assert "the condition Ready says why" in accepted(status).message
        assert status.url == INSIDE


def test_a_route_is_accepted_when_every_gateway_says_so() -> None:
    private = {"name": "private", "sectionName": "http"}
    of = of_gateway(parentRefs=[PUBLIC, private], hostnames=["a.example"])
    half = status_of(of, said())
    assert (accepted(half).status, accepted(half).reason) == ("Unknown", Reason.ROUTE_PENDING)
    assert accepted(half).message.startswith("Gateway team/private, listener http has said nothing")
    assert half.url == "http://a.example"
    # Some Gateways write the namespace that a reference left out.
    whole = accepted(status_of(of, said(), said({**private, "namespace": "team"})))
    assert (whole.status, whole.reason) == ("True", Reason.ROUTE_ACCEPTED)
    assert "gateways/public, team/private, listener http" in whole.message


@pytest.mark.parametrize("condition", ["Accepted", "ResolvedRefs"])
def test_a_refusal_is_told_in_the_gateway_s_words(condition: str) -> None:
    status = status_of(of_gateway(hostnames=["a.example"]), said(**{condition: "NotSo"}))
    found = accepted(status)
    assert (found.status, found.reason) == ("False", Reason.ROUTE_REFUSED)
    assert found.message == "Gateway gateways/public says of HTTPRoute llama: NotSo: in its words"
    assert status.url == INSIDE


def test_a_pool_without_its_picker_is_told() -> None:
    refused = [said(ResolvedRefs="InvalidExtensionRef")]
    found = accepted(status_of(of_gateway(inferencePool=POOL), said(), pool=refused))
    assert found.reason == Reason.ROUTE_REFUSED
    assert "InferencePool llama: InvalidExtensionRef" in found.message


def test_what_was_said_of_an_older_route_does_not_count() -> None:
    assert accepted(status_of(of_gateway(), said(generation=0))).reason == Reason.ROUTE_PENDING
    assert accepted(status_of(of_gateway(), said(generation=0, Accepted="NotSo"))).reason == Reason.ROUTE_PENDING


@pytest.mark.parametrize(
    ("served", "words"), [(frozenset(), "install the Gateway API and a Gateway"), (NO_POOLS, "leads to the Service")]
)
def test_a_kind_that_is_missing_says_what_to_install(served: frozenset[str], words: str) -> None:
    found = accepted(status_of(of_gateway(inferencePool=POOL), said(), served=served))
    assert (found.status, found.reason) == ("False", Reason.GATEWAY_KINDS_MISSING)
    assert words in found.message


@pytest.mark.parametrize("field", ["parentRefs", "backendRefs"])
def test_what_somebody_adds_to_a_route_is_an_edit(field: str) -> None:
    body = _hashed(of_gateway(), ALL)[0]
    edited = stored(body)
    assert agrees(body, edited)
    spec = edited["spec"] if field in edited["spec"] else edited["spec"]["rules"][0]
    spec[field].append({**spec[field][0], "name": "another"})
    assert not agrees(body, edited)
