"""LoRA adapters: what engines and loaders are told, and what status makes of what loaders say."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from llmendpoint.api import names
from llmendpoint.api.conditions import ConditionType, Reason
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.api.status import EndpointStatus
from llmendpoint.manifests import ManifestDefaults, children, problems
from llmendpoint.manifests.adapters import adapter_list
from llmendpoint.manifests.workload import WORKLOADS
from llmendpoint.reconcile.adapters import AdapterReport, Reports, loader_image, parse_report, untold
from llmendpoint.reconcile.observation import Observation, observe
from llmendpoint.reconcile.status import Outcome, make_status
from llmendpoint.scaling.signals import Signals
from support.builders import endpoint, pod

SQL = {"name": "sql", "source": "hf://acme/sql"}
LAW = {"name": "law", "source": "pvc://adapters/law"}
ROLLED_OUT = {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2}


def adapted(*adapters: dict[str, str], status: dict[str, Any] | None = None, **engine: Any) -> Endpoint:
    model = {"source": "hf://acme/llama", "servedName": "tiny", "adapters": list(adapters)}
    return endpoint(model=model, engine=engine, status=status)


def engine_template(of: Endpoint) -> dict[str, Any]:
    made = children(of, ManifestDefaults())
    (found,) = (body["spec"]["template"] for body in made if body["metadata"]["name"] == "llama-engine"
                and body["kind"] == "Deployment")  # fmt: skip
    return dict(found)


def replica(name: str, told: str | None = None, **more: Any) -> dict[str, Any]:
    body = pod(name, annotations={names.ANNOTATION_ADAPTERS: told} if told else None, **more)
    body["spec"] = {"containers": [{"name": "engine", "ports": []}, {"name": "adapters", "ports": []}]}
    return body


def seen(of: Endpoint, pods: Sequence[dict[str, Any]], **rollout: int) -> Observation:
    deployment = {
        "kind": "Deployment",
        "metadata": {
            "name": "llama-engine", "generation": 3,
            "labels": {names.LABEL_COMPONENT: "engine", names.LABEL_MANAGED_BY: names.MANAGED_BY},
        },
        "spec": {"replicas": 2},
        "status": ROLLED_OUT | rollout,
    }  # fmt: skip
    return observe(of, [deployment], pods)


def report(adapter: dict[str, str], state: str, message: str = "") -> AdapterReport:
    return AdapterReport(adapter["name"], adapter["source"], adapter.get("revision"), state, message)  # type: ignore[arg-type]


def status_of(of: Observation, reports: Reports) -> EndpointStatus:
    return make_status(
        of, Outcome(desired=2, signals=Signals(known=2, unknown=0), adapters=reports), now="2025-06-15T15:00:00Z"
    )


def judged(status: EndpointStatus) -> tuple[str, str]:
    found = next(entry for entry in status.conditions if entry.type == ConditionType.ADAPTERS_READY)
    return found.status, found.reason


def states(status: EndpointStatus) -> dict[str, tuple[str, int]]:
    return {entry.name: (entry.state, entry.ready_replicas) for entry in status.adapters or ()}


# What engines and loaders are told.


@pytest.mark.parametrize("engine", ["vLLM", "SGLang"])
def test_no_pod_is_replaced_for_an_adapter_of_the_hub_or_a_bucket(engine: str) -> None:
    none = engine_template(adapted(type=engine))
    bucket = {"name": "law", "source": "s3://adapters/law"}
    assert engine_template(adapted(SQL, bucket, type=engine)) == engine_template(adapted(SQL, type=engine)) == none
    assert none != engine_template(endpoint(model={"source": "hf://acme/llama", "servedName": "tiny"},
                                            engine={"type": engine}))  # fmt: skip


def test_pods_are_replaced_for_a_claim_that_none_had_and_not_for_the_next_adapter_in_it() -> None:
    other = {"name": "tax", "source": "pvc://adapters/tax"}
    assert engine_template(adapted(LAW)) != engine_template(adapted())
    assert engine_template(adapted(LAW, other)) == engine_template(adapted(LAW))


def test_tgi_is_replaced_for_each_change_and_has_no_loader() -> None:
    hub = {"name": "acme/sql", "source": "hf://acme/sql"}
    template = engine_template(adapted(hub, LAW, type="TGI"))
    assert [container["name"] for container in template["spec"]["containers"]] == ["engine"]
    env = {entry["name"]: entry.get("value") for entry in template["spec"]["containers"][0]["env"]}
    assert str(env["LORA_ADAPTERS"]).startswith("acme/sql,law=/adapters/adapters-")


def test_the_users_own_sizes_count() -> None:
    args = engine_template(adapted(SQL, args=["--max-loras=32"]))["spec"]["containers"][0]["args"]
    assert [arg for arg in args if "loras" in arg] == ["--max-cpu-loras=32", "--max-loras=32"]


def test_the_list_says_where_each_is_or_comes_from() -> None:
    sql, law = json.loads(adapter_list(adapted({**SQL, "revision": "v2"}, LAW).spec))
    assert (sql["name"], sql["revision"], "path" in sql) == ("sql", "v2", False)
    assert law["path"].startswith("/adapters/adapters-")
    assert law["path"].endswith("/law")
    folders = {json.loads(adapter_list(adapted(entry).spec))[0]["folder"] for entry in (SQL, {**SQL, "revision": "v2"})}
    assert len(folders) == 2


@pytest.mark.parametrize(
    ("adapter", "engine", "said"),
    [
        ({"name": "tiny", "source": "hf://acme/sql"}, "vLLM", "the model's own name"),
        ({"name": "law", "source": "s3://adapters/law"}, "TGI", "TGI can not load adapter law from s3://"),
        (SQL, "TGI", "set its name to acme/sql"),
        ({"name": "law", "source": "pvc://adapters/law@2"}, "TGI", "takes a list of adapters apart at , = and @"),
    ],
)
def test_what_can_not_work_is_told_beforehand(adapter: dict[str, str], engine: str, said: str) -> None:
    (problem,) = problems(adapted(adapter, type=engine), ManifestDefaults())
    assert said in problem


def test_an_engine_that_starts_offline_fetches_no_adapter() -> None:
    model = {"source": "hf://acme/llama", "cache": {"size": "1Gi", "prefetch": True}}
    hub = {"name": "acme/sql", "source": "hf://acme/sql"}
    (problem,) = problems(endpoint(model={**model, "adapters": [hub]}, engine={"type": "TGI"}), ManifestDefaults())
    assert "leave prefetch out" in problem
    assert not problems(endpoint(model={**model, "adapters": [hub]}), ManifestDefaults())


NON_ROOT = {"runAsNonRoot": True, "runAsUser": 1000}


@pytest.mark.parametrize(
    ("template", "user"),
    [
        ({}, {"runAsUser": 0}),
        ({"securityContext": {**NON_ROOT, "fsGroup": 1000}}, {}),
        ({"containers": [{"name": "engine", "securityContext": NON_ROOT}]}, NON_ROOT),
        ({"securityContext": NON_ROOT, "containers": [{"name": "engine", "securityContext": {"runAsUser": 7}}]},
         {"runAsUser": 7}),
    ],
)  # fmt: skip
def test_the_loader_is_who_the_engine_is(template: dict[str, Any], user: dict[str, Any]) -> None:
    of = adapted(SQL, podTemplate={"spec": template})
    assert problems(of, ManifestDefaults()) == []
    containers = {entry["name"]: entry for entry in engine_template(of)["spec"]["containers"]}
    context = containers["adapters"]["securityContext"]
    assert {field: context[field] for field in context if field.startswith("runAs")} == user
    # With the pod's seccompProfile and no root that is what the restricted standard asks for.
    assert (context["allowPrivilegeEscalation"], context["capabilities"]) == (False, {"drop": ["ALL"]})


# Who is told.


def test_replicas_with_a_loader_are_told_once() -> None:
    of = adapted(SQL)
    wanted = adapter_list(of.spec)
    told, old, plain = replica("a", wanted), replica("b", "[]"), pod("c")
    plain["spec"] = {"containers": [{"name": "engine", "ports": []}]}  # of a revision before there were adapters
    leaving = replica("d", deleting=True)
    assert untold(seen(of, [told, old, plain, leaving])) == {"b": wanted}
    assert untold(seen(endpoint(), [old])) == {}


# An upgrade of the operator.

OLD, NEW = "example.org/modelfetch:1", "example.org/modelfetch:2"
REFUSED = {"containerStatuses": [{"name": "adapters", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}


@pytest.mark.parametrize("nodes", [1, 2])
def test_an_upgrade_replaces_no_replica(nodes: int) -> None:
    of, pods = adapted(SQL, nodesPerReplica=nodes), [replica("a")]
    running = rendered(of, OLD)
    assert loader_image(observe(of, [running], pods), defaults(NEW)) == OLD
    assert rendered(of, NEW, loader_image=OLD) == running
    # What is to be changed anyway is changed to the new one.
    other = adapted(SQL, nodesPerReplica=nodes, args=["--max-loras=2"])
    assert loader_image(observe(other, [running], pods), defaults(NEW)) == NEW


def test_an_upgrade_is_taken_where_it_replaces_nobody_or_is_the_remedy() -> None:
    of = adapted(SQL)
    running = rendered(of, OLD)
    assert loader_image(observe(of, [running], []), defaults(NEW)) == NEW
    assert loader_image(observe(of, [], []), defaults(NEW)) == NEW
    stuck = replica("a", ready=False)
    stuck["status"] |= REFUSED
    assert loader_image(observe(of, [running], [stuck]), defaults(NEW)) == NEW


def defaults(image: str) -> ManifestDefaults:
    return ManifestDefaults(fetch_image=image)


def rendered(of: Endpoint, image: str, **more: str) -> dict[str, Any]:
    made = children(of, defaults(image), **more)  # type: ignore[arg-type]
    return next(body for body in made if body["kind"] in WORKLOADS and body["metadata"]["name"] == "llama-engine")


# What loaders say.


def test_an_adapter_is_loaded_when_every_ready_replica_serves_it() -> None:
    of, pods = adapted(SQL), [replica("a"), replica("b")]
    half = {"a": (report(SQL, "Loaded"),), "b": (report(SQL, "Loading", "hf://acme/sql is fetched"),)}
    status = status_of(seen(of, pods), half)
    assert (states(status), judged(status)) == ({"sql": ("Loading", 1)}, ("False", Reason.ADAPTERS_LOADING))
    status = status_of(seen(of, pods), {name: (report(SQL, "Loaded"),) for name in "ab"})
    assert (states(status), judged(status)) == ({"sql": ("Loaded", 2)}, ("True", Reason.ADAPTERS_LOADED))
    assert [entry.model for entry in status.adapters or ()] == ["sql"]


def test_a_bad_adapter_has_its_reason_and_the_endpoint_stays_ready() -> None:
    said = (report(SQL, "Failed", "LoRA rank 64 is greater than max_lora_rank 16."), report(LAW, "Loaded"))
    status = status_of(seen(adapted(SQL, LAW), [replica("a"), replica("b")]), {"a": said, "b": said})
    assert states(status) == {"sql": ("Failed", 0), "law": ("Loaded", 2)}
    conditions = {entry.type: entry for entry in status.conditions}
    assert conditions["Ready"].status == "True"
    assert conditions["AdaptersReady"].reason == Reason.ADAPTER_FAILED
    assert "sql: LoRA rank 64" in conditions["AdaptersReady"].message


def test_a_claim_that_only_new_replicas_have_is_no_failure_of_the_old_ones() -> None:
    missing = {"a": (report(LAW, "Failed", "No adapter found"),), "b": (report(LAW, "Loaded"),)}
    pods = [replica("a"), replica("b")]
    assert judged(status_of(seen(adapted(LAW), pods, updatedReplicas=1), missing))[1] == Reason.ADAPTERS_LOADING
    assert judged(status_of(seen(adapted(LAW), pods), missing))[1] == Reason.ADAPTER_FAILED


def test_what_a_loader_says_of_another_source_is_not_about_this_adapter() -> None:
    old = {"a": (report({**SQL, "source": "hf://acme/old"}, "Loaded"),)}
    assert states(status_of(seen(adapted(SQL), [replica("a")]), old)) == {"sql": ("Loading", 0)}


def test_an_adapter_that_was_taken_away_is_told_of_until_it_is_gone() -> None:
    going = {"a": (report(LAW, "Unloading", "requests that it has are finished"),)}
    status = status_of(seen(adapted(), [replica("a")]), going)
    assert (states(status), judged(status)[1]) == ({"law": ("Unloading", 1)}, Reason.ADAPTERS_LOADING)
    assert states(status_of(seen(adapted(), [replica("a")]), {"a": ()})) == {}


def test_whatever_names_a_loader_tells_of_there_is_a_status_within_bounds() -> None:
    def going(name: str) -> AdapterReport:
        return report({"name": name, "source": ""}, "Unloading")

    many = {"a": (going("-of:a client"), *(going(f"x{number}") for number in range(500)))}
    told = status_of(seen(adapted(type="SGLang"), [replica("a")]), many).adapters or []
    assert ([entry.model for entry in told[:2]], len(told)) == (["tiny:-of:a client", "tiny:x0"], 64)


def test_an_operator_that_has_just_started_says_what_the_last_one_heard() -> None:
    before = {"name": "sql", "source": "hf://acme/sql", "model": "sql", "state": "Loaded", "readyReplicas": 1}
    of = adapted(SQL, status={"adapters": [before]})
    assert states(status_of(seen(of, [replica("a")]), {})) == {"sql": ("Loaded", 1)}
    assert states(status_of(seen(adapted(SQL), [replica("a")]), {})) == {"sql": ("Loading", 0)}
    assert judged(status_of(seen(adapted(SQL), []), {})) == ("Unknown", Reason.NO_READY_REPLICAS)


def test_tgi_has_its_adapters_when_it_is_rolled_out() -> None:
    of = adapted(LAW, type="TGI")
    assert states(status_of(seen(of, [pod("a"), pod("b")]), {})) == {"law": ("Loaded", 2)}
    assert states(status_of(seen(of, [pod("a"), pod("b")], updatedReplicas=1), {})) == {"law": ("Loading", 0)}


def test_sglang_is_asked_by_both_names() -> None:
    status = status_of(seen(adapted(SQL, type="SGLang"), [replica("a")]), {})
    assert [entry.model for entry in status.adapters or ()] == ["tiny:sql"]


def test_a_replica_that_has_not_answered_counts_until_the_adapter_was_loaded() -> None:
    pods, half = [replica("a"), replica("b")], {"a": (report(SQL, "Loaded"),)}
    status = status_of(seen(adapted(SQL), pods), half)
    assert (states(status), judged(status)[1]) == ({"sql": ("Loading", 1)}, Reason.ADAPTERS_LOADING)
    assert "no loader of 1 ready replicas has answered" in str((status.adapters or [])[0].message)
    # One that is added when all others have it: it is ready, so it has loaded it.
    before = {"name": "sql", "source": "hf://acme/sql", "model": "sql", "state": "Loaded", "readyReplicas": 1}
    status = status_of(seen(adapted(SQL, status={"adapters": [before]}), pods), half)
    assert states(status) == {"sql": ("Loaded", 1)}


@pytest.mark.parametrize("engine", ["vLLM", "TGI"])
def test_nothing_is_loaded_where_no_replica_is_ready(engine: str) -> None:
    status = status_of(seen(adapted(LAW, type=engine), []), {})
    assert (states(status), judged(status)) == ({"law": ("Loading", 0)}, ("Unknown", Reason.NO_READY_REPLICAS))
    assert "no replica is ready" in str((status.adapters or [])[0].message)


def test_an_endpoint_without_adapters_says_nothing_of_them() -> None:
    status = status_of(seen(endpoint(), [pod("a"), pod("b")]), {})
    assert (status.adapters, "AdaptersReady" in {entry.type for entry in status.conditions}) == (None, False)


def test_answers_are_read_within_bounds() -> None:
    entry = {"name": "sql", "source": "hf://a", "state": "Failed", "message": "x" * 5000, "revision": None}
    (read,) = parse_report({"adapters": [entry]})
    assert (len(read.message), read.revision) == (500, None)
    (read,) = parse_report({"adapters": [{**entry, "name": "x" * 5000, "source": "x" * 5000}]})
    assert (len(read.name), len(read.source)) == (128, 1024)
    half = {"adapters": [{**entry, "message": "\ud800"}]}
    for nonsense in (half, {}, {"adapters": [{**entry, "state": "Great"}]}, {"adapters": [{}]}, [], {"adapters": 3}):
        with pytest.raises((ValueError, LookupError, TypeError)):
            parse_report(nonsense)
