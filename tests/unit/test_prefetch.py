"""What is fetched, what waits for it, and what is told of it."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from llmendpoint.api.conditions import ConditionType, Reason
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.manifests import ManifestDefaults, children, problems
from llmendpoint.manifests.prefetch import downloads, prefetch_name
from llmendpoint.reconcile.fetch_progress import FetchProgress, parse_progress
from llmendpoint.reconcile.observation import Observation, observe
from llmendpoint.reconcile.plan import Plan, make_plan
from llmendpoint.reconcile.prefetch import cache_status, fetch_condition, paths_in_use, waits_for_model
from llmendpoint.reconcile.status import Outcome, make_status
from support.builders import endpoint, pod
from support.stored import stored

GIB = 1 << 30
ENGINE, CLAIM = ("Deployment", "llama-engine"), ("PersistentVolumeClaim", "llama-cache")
CACHE: dict[str, Any] = {"size": "60Gi", "prefetch": True}
COMPLETE, FAILED = (
    {"conditions": [{"type": kind, "status": "True", "message": "the Job's own"}]} for kind in ("Complete", "Failed")
)
EARLIER, LATER = "2025-06-15T15:00:00Z", "2025-06-15T16:00:00Z"
DONE = '{"bytesDone": 30, "bytesTotal": 30, "filesDone": 3, "filesTotal": 3, "bytesPerSecond": 5}'


def asking(source: str = "hf://acme/llama", **model: Any) -> Endpoint:
    return endpoint(model={"source": source, "cache": CACHE, **model})


def made(of: Endpoint) -> dict[tuple[str, str], dict[str, Any]]:
    return {(body["kind"], body["metadata"]["name"]): body for body in children(of, ManifestDefaults())}


def there(
    of: Endpoint, *pods: Mapping[str, Any], job: Mapping[str, Any] | None = None, runs: Endpoint | None = None
) -> Observation:
    """All children of ``of`` but the engine, which is that of ``runs`` if any.

    Args:
        job: the Job's status; None where there is none yet.
    """
    bodies = []
    for (kind, _), body in made(of).items():
        if kind == "Job" and job is None:
            continue
        if kind != "Deployment":
            bodies.append(stored(body, **(job or {})) if kind == "Job" else stored(body))
    if runs:
        bodies.append(stored(made(runs)[ENGINE], observedGeneration=1, replicas=1, updatedReplicas=1))
    return observe(of, bodies, pods)


def fetching(of: Endpoint, phase: str, message: str = "", created: str = EARLIER, **ended: Any) -> dict[str, Any]:
    """A pod of the Job."""
    job = prefetch_name(of)
    state = {"terminated": {"message": message, **ended}} if message or ended else {"running": {}}
    return {
        "kind": "Pod",
        "metadata": {
            "name": f"{job}-{created[-6:-1]}", "namespace": "team", "uid": f"u-{created}", "creationTimestamp": created,
            "labels": {"llmendpoint.dev/endpoint": "llama", "llmendpoint.dev/component": "prefetch"},
            "ownerReferences": [{"kind": "Job", "name": job, "uid": f"uid-{job}"}],
        },
        "spec": {},
        "status": {
            "phase": phase, "podIP": "10.0.0.9",
            "containerStatuses": [{"name": "prefetch", "ready": False, "restartCount": 0, "state": state}],
        },
    }  # fmt: skip


def plan(seen: Observation) -> Plan:
    return make_plan(seen, desired=list(made(seen.endpoint).values()), replicas=None, load={})


def applied(of: Plan) -> list[str]:
    return [body["kind"] for body in of.applies]


def told(seen: Observation, progress: FetchProgress | None = None) -> tuple[str, str, str]:
    return fetch_condition(seen, progress)


def test_the_job_gets_another_name_when_something_else_is_to_be_fetched() -> None:
    same = [asking(), asking(servedName="x"), endpoint(model={"source": "hf://acme/llama", "cache": CACHE}, engine={
        "args": ["--max-num-seqs=4"]})]  # fmt: skip
    assert len({prefetch_name(one) for one in same}) == 1
    others = [
        asking(), asking("hf://acme/other"), asking(revision="v2"), asking("s3://b/llama"),
        asking(tokenSecretRef={"name": "hub", "key": "t"}), asking("s3://b/llama", s3={"region": "eu-west-1"}),
        endpoint(model={"source": "hf://acme/llama", "cache": CACHE}, engine={
            "env": [{"name": "HF_ENDPOINT", "value": "https://mirror"}]}),
    ]  # fmt: skip
    # What the sentence of one that failed or has no node says to change.
    template = {"spec": {"securityContext": {"runAsUser": 1000}}}
    others += [endpoint(model={"source": "hf://acme/llama", "cache": CACHE}, engine=engine) for engine in (
        {"podTemplate": template}, {"nodeSelector": {"pool": "big"}}, {"tolerations": [{"key": "gpu"}]},
        {"imagePullSecrets": ["registry"]}, {"resources": {"limits": {"amd.com/gpu": 1}}})]  # fmt: skip
    others.append(endpoint(model={"source": "hf://acme/llama", "cache": {**CACHE, "size": "90Gi"}}))
    assert len({prefetch_name(one) for one in others}) == len(others)


def test_the_longest_name_of_an_endpoint_makes_one_that_a_job_may_have() -> None:
    one = endpoint(name="a" * 50, model={"source": "hf://a/b", "cache": CACHE})
    other = endpoint(name="a" * 49 + "b", model={"source": "hf://a/b", "cache": CACHE})
    assert len(prefetch_name(one)) == 63
    assert prefetch_name(one) != prefetch_name(other)


def test_a_template_that_is_none_breaks_no_name() -> None:
    wrong = endpoint(model={"source": "hf://acme/llama", "cache": CACHE}, engine={"podTemplate": {"spec": 5}})
    assert prefetch_name(wrong) == prefetch_name(asking())


def test_another_revision_lies_in_another_folder() -> None:
    folders = {downloads(one)[0].folder for one in (asking(), asking(revision="v2"), asking("hf://other/llama"))}
    assert len(folders) == 3


@pytest.mark.parametrize("type_", ["vLLM", "TGI", "SGLang"])
@pytest.mark.parametrize("source", ["hf://acme/llama", "s3://bucket/llama"])
def test_every_engine_loads_what_was_fetched_from_its_folder_offline(type_: str, source: str) -> None:
    asked = endpoint(
        model={"source": source, "revision": "v1", "cache": CACHE, "tokenSecretRef": {"name": "hub", "key": "token"}},
        engine={"type": type_},
    )
    assert problems(asked, ManifestDefaults()) == []
    (container,) = made(asked)[ENGINE]["spec"]["template"]["spec"]["containers"]
    arguments = " ".join(container["args"])
    assert f"/cache/models/{downloads(asked)[0].folder}" in arguments
    assert "--revision" not in arguments
    assert "runai_streamer" not in arguments
    env = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert (env["HF_HUB_OFFLINE"], env["TRANSFORMERS_OFFLINE"], "HF_TOKEN" in env) == ("1", "1", False)


def test_what_can_not_be_fetched_is_said() -> None:
    def said(source: str, **cache: Any) -> str:
        asked = endpoint(model={"source": source, "cache": CACHE | cache})
        return "; ".join(problems(asked, ManifestDefaults()))

    assert "nothing to fetch: pvc:// is mounted as it is" in said("pvc://models/llama")
    assert "ReadWriteOncePod" in said("hf://acme/llama", accessMode="ReadWriteOncePod")
    streaming = endpoint(model={"source": "s3://bucket/llama"}, engine={"type": "TGI"})
    assert "set model.cache.prefetch" in problems(streaming, ManifestDefaults())[0]


def test_the_engine_waits_until_the_job_is_complete() -> None:
    of = asking()
    assert "Deployment" not in applied(plan(observe(of, [], [])))
    assert "Job" in applied(plan(observe(of, [], [])))
    assert "Deployment" not in applied(plan(there(of, job={})))
    assert applied(plan(there(of, job=COMPLETE))) == ["Deployment"]


def test_a_new_revision_waits_and_the_old_one_serves_on() -> None:
    new, old = asking(revision="v2"), asking(revision="v1")
    seen = there(new, job={}, runs=old)
    made_plan = plan(seen)
    assert (applied(made_plan), made_plan.deletes) == ([], ())
    assert waits_for_model(seen)
    assert applied(plan(there(new, job=COMPLETE, runs=old))) == ["Deployment"]


def test_a_change_that_loads_the_same_files_does_not_wait() -> None:
    old = asking()
    new = asking(tokenSecretRef={"name": "hub", "key": "token"}, servedName="other")
    assert applied(plan(there(new, job={}, runs=old))) == ["Deployment"]


def test_a_job_is_never_changed_and_goes_when_it_is_not_wanted() -> None:
    of = asking()
    seen = there(of, job=COMPLETE, runs=of)
    job = copy.deepcopy(dict(seen.children["Job", prefetch_name(of)]))
    job["spec"]["backoffLimit"] = 1
    changed = observe(of, [*(body for body in seen.children.values() if body["kind"] != "Job"), job], [])
    assert (applied(plan(changed)), plan(changed).deletes) == ([], ())
    without = endpoint(model={"source": "hf://acme/llama", "cache": {"size": "60Gi"}})
    left = observe(without, seen.children.values(), [])
    assert plan(left).deletes == (("Job", prefetch_name(of)),)


def test_a_job_that_filled_a_volume_which_is_gone_is_done_again() -> None:
    of = asking()
    bodies = [copy.deepcopy(dict(body)) for body in there(of, job=COMPLETE, runs=of).children.values()]
    for body in bodies:
        body["metadata"]["creationTimestamp"] = LATER if body["kind"] == CLAIM[0] else EARLIER
    seen = observe(of, bodies, [])
    assert plan(seen).deletes == (("Job", prefetch_name(of)),)
    assert told(seen)[:2] == ("False", Reason.FETCHING_MODEL)


def test_a_job_waits_until_nobody_else_fetches_to_the_volume() -> None:
    new, old = asking(revision="v2"), asking(revision="v1")
    before = [body for body in there(old, job={}).children.values() if body["kind"] == "Job"]
    first = observe(new, before, [])
    assert ("Job" in applied(plan(first)), plan(first).deletes) == (False, (("Job", prefetch_name(old)),))
    assert f"it waits until Job {prefetch_name(old)} of another fetch is gone" in told(first)[2]
    leaving = fetching(old, "Running")
    leaving["metadata"]["deletionTimestamp"] = LATER
    second = observe(new, [], [leaving])
    assert "Job" not in applied(plan(second))
    assert f"pod {leaving['metadata']['name']}" in told(second)[2]
    # Deleted by hand, a Job is followed by one of the same name.
    assert "Job" not in applied(plan(observe(old, [], [leaving])))
    assert "Job" in applied(plan(observe(new, [], [fetching(old, "Succeeded")])))
    # A Job whose deletion fails would be believed when the spec comes back, and what it fetched be gone by then.
    ended = [body for body in there(old, job=COMPLETE).children.values() if body["kind"] == "Job"]
    last = plan(observe(new, ended, []))
    assert ("Job" in applied(last), last.deletes) == (False, (("Job", prefetch_name(old)),))


def test_a_job_that_an_earlier_endpoint_left_is_made_anew() -> None:
    of = asking()
    bodies = [copy.deepcopy(dict(body)) for body in there(of, job=COMPLETE, runs=of).children.values()]
    for body in bodies:
        if body["kind"] == "Job":
            del body["metadata"]["ownerReferences"]
    seen = observe(of, bodies, [])
    assert plan(seen).deletes == (("Job", prefetch_name(of)),)
    assert told(seen)[0] == "False"


def test_paths_that_replicas_load_from_are_in_use() -> None:
    old = pod("llama-engine-1")
    old["metadata"]["annotations"] = {"llmendpoint.dev/model-path": "/cache/models/older"}
    running = asking(revision="v1")
    path = f"/cache/models/{downloads(running)[0].folder}"
    seen = there(asking(revision="v2"), old, pod("llama-engine-2"), job={}, runs=running)
    assert paths_in_use(seen) == {"/cache/models/older", path}
    keep = [arg for arg in made_job(seen) if arg.startswith("--keep=")]
    assert keep == sorted(["--keep=older", f"--keep={path.rpartition('/')[2]}"])


def made_job(seen: Observation) -> list[str]:
    bodies = children(seen.endpoint, ManifestDefaults(), in_use=paths_in_use(seen))
    (job,) = (body for body in bodies if body["kind"] == "Job")
    arguments: list[str] = job["spec"]["template"]["spec"]["containers"][0]["args"]
    return arguments


def test_progress_is_told_for_people() -> None:
    of = asking()
    running = there(of, fetching(of, "Running"), job={})
    assert told(running)[2] == "Fetching hf://acme/llama: it has begun"
    progress = FetchProgress(12 * GIB + 300 * GIB // 1024, 15 * GIB, 2, 4, 240 * GIB // 1024)
    expected = "Fetching hf://acme/llama: 12.3 GiB of 15.0 GiB, 240.0 MiB/s, about 12 s left"
    assert told(running, progress) == ("False", Reason.FETCHING_MODEL, expected)
    status = cache_status(running, progress)
    assert status is not None
    assert (status.state, status.bytes_total, status.files_done) == ("Fetching", 15 * GIB, 2)
    # What a quota or admission refuses is in the Job's events alone, and a volume that another node has in the pod's.
    name = prefetch_name(of)
    expected = f"job {name} has no pod yet; if that lasts, kubectl describe job {name} says why"
    assert told(there(of, job={}))[2] == f"Fetching hf://acme/llama: {expected}"
    assert "kubectl describe pod" in told(there(of, fetching(of, "Pending"), job={}))[2]


def test_figures_outlive_the_operator_and_the_pod() -> None:
    known = {"modelCache": {"state": "Fetching", "job": prefetch_name(asking()), "bytesDone": 5, "bytesTotal": 30}}
    of = endpoint(status=known, model={"source": "hf://acme/llama", "cache": CACHE})
    assert told(there(of, fetching(of, "Running"), job={}))[2].endswith(": 5 B of 30 B")
    done = cache_status(there(of, fetching(of, "Succeeded", DONE, exitCode=0), job=COMPLETE), None)
    assert done is not None
    assert (done.state, done.bytes_done, done.files_total) == ("Cached", 30, 3)


def test_what_went_wrong_is_told_with_what_comes_next() -> None:
    of = asking()
    again = there(of, fetching(of, "Failed", "the hub is out of reach", exitCode=1), job={})
    assert told(again)[1] == Reason.FETCH_RETRIED
    assert "the hub is out of reach" in told(again)[2]
    given_up = there(of, fetching(of, "Failed", "hf://acme/llama is gated", exitCode=2), job=FAILED)
    assert told(given_up)[1] == Reason.FETCH_FAILED
    assert f"hf://acme/llama is gated; then kubectl delete job {prefetch_name(of)}" in told(given_up)[2]
    killed = there(of, fetching(of, "Failed", reason="OOMKilled"), job={})
    assert "more memory" in told(killed)[2]
    assert "the Job's own" in told(there(of, job=FAILED))[2]


def test_ready_says_it_while_replicas_wait_and_not_otherwise() -> None:
    of = asking()
    waiting = {entry.type: entry for entry in make_status(there(of, job={}), Outcome(1), now=EARLIER).conditions}
    assert waiting[ConditionType.READY].reason == Reason.FETCHING_MODEL
    assert waiting[ConditionType.PROGRESSING].status == "True"
    assert waiting[ConditionType.MODEL_CACHED].status == "False"
    failed = make_status(there(of, job=FAILED), Outcome(1), now=EARLIER).conditions
    assert next(entry.reason for entry in failed if entry.type == "Ready") == Reason.FETCH_FAILED
    done = make_status(there(of, job=COMPLETE, runs=of), Outcome(0), now=EARLIER).conditions
    assert next(entry.reason for entry in done if entry.type == "Ready") == Reason.ALL_REPLICAS_READY
    plain = make_status(observe(endpoint(), [], []), Outcome(1), now=EARLIER)
    assert "ModelCached" not in {entry.type for entry in plain.conditions}
    assert plain.model_cache is None


def test_a_fetch_that_no_replica_waits_for_is_no_matter_of_ready() -> None:
    of = asking()
    waiting = fetching(of, "Pending")
    taint = "0/1 nodes are available: 1 node(s) had untolerated taint {pool: big}"
    refused = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": taint}
    waiting["status"] = {"phase": "Pending", "conditions": [refused]}

    def said(seen: Observation) -> dict[str, str]:
        return {entry.type: entry.reason for entry in make_status(seen, Outcome(0), now=EARLIER).conditions}

    again = said(there(of, waiting, job={}, runs=of))
    assert (again["Ready"], again["ModelCached"]) == (Reason.ALL_REPLICAS_READY, Reason.UNSCHEDULABLE)
    assert "check engine.nodeSelector and engine.tolerations" in told(there(of, waiting, job={}))[2]
    first = said(there(of, waiting, job={}))
    assert (first["Ready"], first["ModelCached"]) == (Reason.UNSCHEDULABLE, Reason.UNSCHEDULABLE)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"bytesDone": "many"}', "gated", "[" * 10_000])
def test_what_is_no_report_is_none(text: str) -> None:
    assert parse_progress(text) is None
