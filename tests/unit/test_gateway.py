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
from llmendpoint.reconcile.observation import observe
from llmendpoint.reconcile.status import Outcome, make_status
from support.builders import endpoint
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
