"""What is written for a batch: its endpoint first, its Job when somebody can answer, and nothing twice."""

from typing import Any

import pytest

from llmendpoint.api.batch import Batch
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.cli import validation
from llmendpoint.manifests import ManifestDefaults
from llmendpoint.reconcile.batch_view import BatchPlan, make_batch_plan, see
from support.builders import batch, batch_job, endpoint, endpoint_object

OWN: dict[str, Any] = {"endpointRef": None, "endpoint": {"model": {"source": "hf://acme/llama"}, "replicas": 2}}
NOTHING = BatchPlan()
COMPLETE = {"type": "Complete", "status": "True"}
SAID_COMPLETE = {
    "conditions": [{**COMPLETE, "reason": "x", "message": "", "lastTransitionTime": "2025-06-15T15:20:00Z"}]
}


def plan(
    of: Batch, job: dict[str, Any] | None = None, answering: Endpoint | None = None, owner: dict[str, Any] | None = None
) -> BatchPlan:
    return make_batch_plan(see(of, job, (), answering, owner), ManifestDefaults())


def own_endpoint(**more: Any) -> tuple[Endpoint, dict[str, Any]]:
    """The batch's own, as the API server returns it."""
    body = endpoint_object("march", status={"readyReplicas": 1})
    body["metadata"] |= {"ownerReferences": [{"uid": "uid-march"}], **more}
    return Endpoint.from_object(body), body


SERVING = endpoint(status={"readyReplicas": 1})


def kinds(made: BatchPlan) -> list[str]:
    return [manifest["kind"] for manifest in made.creates]


def test_a_job_is_made_when_somebody_can_answer() -> None:
    assert plan(batch()) == NOTHING
    assert plan(batch(), answering=endpoint()) == NOTHING
    assert kinds(plan(batch(), answering=SERVING)) == ["Job"]
    assert plan(batch(), batch_job(), SERVING) == NOTHING


def test_own_engines_come_first_and_are_made_once() -> None:
    made = plan(batch(**OWN))
    assert kinds(made) == ["LLMEndpoint"]
    (body,) = made.creates
    assert validation.problems(dict(body)) == []
    assert body["metadata"]["ownerReferences"][0]["kind"] == "LLMBatch"
    # Somebody may have changed how many there are.
    assert kinds(plan(batch(**OWN), None, *own_endpoint())) == ["Job"]
    assert plan(batch(**OWN), batch_job(), *own_endpoint()) == NOTHING


def test_own_engines_go_when_the_end_is_in_the_status() -> None:
    done = batch_job(COMPLETE)
    assert plan(batch(**OWN), done, *own_endpoint()) == NOTHING
    assert plan(batch(status=SAID_COMPLETE, **OWN), done, *own_endpoint()) == BatchPlan(removes_endpoint=True)
    going = own_endpoint(deletionTimestamp="2025-06-15T15:20:00Z")
    assert plan(batch(status=SAID_COMPLETE, **OWN), done, *going) == NOTHING
    assert plan(batch(status=SAID_COMPLETE), done, SERVING) == NOTHING


def test_a_suspended_batch_stops_its_job_and_gives_its_engines_back() -> None:
    assert plan(batch(suspend=True), answering=SERVING) == NOTHING
    assert plan(batch(suspend=True), batch_job(), SERVING) == BatchPlan(suspend=True)
    assert plan(batch(suspend=True), batch_job(suspend=True), SERVING) == NOTHING
    held = plan(batch(suspend=True, **OWN), batch_job(), *own_endpoint())
    assert held == BatchPlan(suspend=True, removes_endpoint=True)


def test_it_goes_on_when_somebody_can_answer_again() -> None:
    stopped = batch_job(suspend=True)
    assert plan(batch(), stopped, endpoint()) == NOTHING
    assert plan(batch(), stopped, SERVING) == BatchPlan(suspend=False)
    assert kinds(plan(batch(**OWN), stopped)) == ["LLMEndpoint"]
    # Those from before the pause are still on their way out.
    assert plan(batch(**OWN), stopped, *own_endpoint(deletionTimestamp="2025-06-15T15:20:00Z")) == NOTHING


@pytest.mark.parametrize("suspend", [True, False])
def test_what_is_somebody_else_s_is_not_touched(suspend: bool) -> None:
    theirs = endpoint_object("march", status={"readyReplicas": 1})
    mine = batch(suspend=suspend, status=SAID_COMPLETE, **OWN)
    assert plan(mine, None, Endpoint.from_object(theirs), theirs) == NOTHING
    job = batch_job()
    del job["metadata"]["ownerReferences"]
    assert plan(batch(suspend=suspend), job, SERVING) == NOTHING


@pytest.mark.parametrize(
    ("job", "is_working"),
    [
        (None, False),
        (batch_job(), True),
        (batch_job(startTime=None), False),
        (batch_job(COMPLETE), False),
        (batch_job({**COMPLETE, "type": "Failed"}), False),
    ],
    ids=["none", "begun", "stopped", "done", "failed"],
)
def test_a_batch_works_while_its_job_does(job: dict[str, Any] | None, is_working: bool) -> None:
    assert see(batch(), job, (), SERVING, None).is_working is is_working


@pytest.mark.parametrize(
    ("s3", "input_uri", "says"),
    [
        (None, "s3://public/in.jsonl", "true"),
        ({"region": "eu-west-1"}, "s3://public/in.jsonl", "true"),
        ({"credentialsSecretRef": {"name": "keys"}}, "s3://private/in.jsonl", None),
        (None, "pvc://prompts/in.jsonl", None),
    ],
)
def test_a_bucket_is_never_asked_in_the_name_of_the_node(s3: dict[str, str] | None, input_uri: str, says: str) -> None:
    (job,) = plan(batch(s3=s3, input={"uri": input_uri}), answering=SERVING).creates
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert {entry["name"]: entry.get("value") for entry in container["env"]}.get("AWS_SKIP_SIGNATURE") == says


def test_a_claim_of_both_files_is_one_volume() -> None:
    uris = {"input": {"uri": "pvc://files/in.jsonl"}, "output": {"uri": "pvc://files/out"}}
    (job,) = plan(batch(**uris), answering=SERVING).creates
    pod = job["spec"]["template"]["spec"]
    assert pod["volumes"] == [{"name": "output", "persistentVolumeClaim": {"claimName": "files"}}]
    assert pod["containers"][0]["volumeMounts"] == [
        {"name": "output", "mountPath": "/mnt/input", "readOnly": True},
        {"name": "output", "mountPath": "/mnt/output"},
    ]


def test_no_field_of_a_batch_can_have_a_secret_put_in_its_place() -> None:
    # Or the worker's last words would show it in the status, and requests to a server of the user's carry it out.
    told = {
        "input": {"uri": "pvc://prompts/$(OPENAI_API_KEY).jsonl"},
        "output": {"uri": "s3://answers/$(OPENAI_API_KEY)$$"},
        "s3": {"endpointURL": "http://$(OPENAI_API_KEY).example"},
        "model": "$(OPENAI_API_KEY)",
    }
    key = {"engine": {"apiKeySecretRef": {"name": "keys", "key": "llama"}}}
    (job,) = plan(batch(**told), answering=endpoint(status={"readyReplicas": 1}, **key)).creates
    (container,) = job["spec"]["template"]["spec"]["containers"]
    texts = [*container["args"], *(entry.get("value", "") for entry in container["env"])]
    assert [text.partition("=")[2] or text for text in texts if "$" in text] == [
        "file:///mnt/input/$$(OPENAI_API_KEY).jsonl",
        "s3://answers/$$(OPENAI_API_KEY)$$$$",
        "$$(OPENAI_API_KEY)",
        "http://$$(OPENAI_API_KEY).example",
    ]


def test_a_worker_that_hangs_is_stopped_so_that_another_goes_on() -> None:
    (job,) = plan(batch(), answering=SERVING).creates
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["livenessProbe"]["httpGet"] == {"path": "/readyz", "port": "control"}
