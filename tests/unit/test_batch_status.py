"""What a batch's status says of what was seen: its state in one word, and figures that no lost pod takes back."""

import json
from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmendpoint.api.batch import Batch, BatchStatus
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.reconcile.batch_progress import MOST, Progress, parse_progress
from llmendpoint.reconcile.batch_status import make_batch_status
from llmendpoint.reconcile.batch_view import BatchView, see
from support.builders import NOW, batch, batch_job, batch_object, batch_pod, endpoint, endpoint_object

COMPLETE = {"type": "Complete", "status": "True", "lastTransitionTime": "2025-06-15T15:20:00Z"}
FAILED = {**COMPLETE, "type": "Failed", "message": "a rule matched", "reason": "PodFailurePolicy"}
SERVING = {"readyReplicas": 1}


def view(
    of: Batch, job: dict[str, Any] | None = None, pods: Iterable[dict[str, Any]] = (), answering: Endpoint | None = None
) -> BatchView:
    return see(of, job, pods, answering or endpoint(status=SERVING), None)


def state(seen: BatchView) -> tuple[str, str, str]:
    entry = conditions(seen)["Progressing"]
    return entry["status"], entry["reason"], entry["message"]


def conditions(seen: BatchView) -> dict[str, dict[str, Any]]:
    return {entry["type"]: entry for entry in report(seen).to_wire()["conditions"]}


def report(seen: BatchView) -> BatchStatus:
    return make_batch_status(seen, None, None, now=NOW)


def telling(seen: BatchView, **answers: Progress) -> BatchView:
    """With what running workers say, by the names of their pods with underscores."""
    return BatchView(
        seen.batch, seen.job, seen.pods, seen.endpoint, answers={k.replace("_", "-"): v for k, v in answers.items()}
    )


def ready(reason: str, status: str = "False") -> dict[str, Any]:
    entry = {"type": "Ready", "status": status, "reason": reason, "message": "2 replicas start"}
    return {"conditions": [{**entry, "lastTransitionTime": "2025-06-15T15:00:00Z"}]}


def test_an_endpoint_that_is_not_there_is_named() -> None:
    seen = see(batch(), None, (), None, None)
    assert state(seen)[:2] == ("False", "EndpointNotFound")
    assert "there is no LLMEndpoint llama in this namespace" in state(seen)[2]


def test_an_endpoint_that_starts_is_waited_for_in_its_own_words() -> None:
    seen = view(batch(), answering=endpoint(status=ready("ReplicasStarting")))
    message = "no replica of LLMEndpoint llama can answer yet: 2 replicas start"
    assert state(seen) == ("False", "EndpointNotReady", message)


@pytest.mark.parametrize(
    "status", [ready("Asleep", "True"), {**SERVING, **ready("ReplicasStarting")}], ids=["asleep", "scaling out"]
)
def test_an_endpoint_that_sleeps_or_grows_can_answer(status: dict[str, Any]) -> None:
    assert state(view(batch(), answering=endpoint(status=status)))[1] == "WorkersStarting"


def test_workers_that_run_work() -> None:
    seen = view(batch(shards=2), batch_job(), [batch_pod(0), batch_pod(1, "Pending")])
    assert state(seen) == ("True", "Working", "1 of 2 shards are worked on, 0 done")


def test_a_pod_that_does_not_start_has_an_endpoint_s_words() -> None:
    waiting = batch_pod(0, "Pending", waiting={"reason": "ErrImagePull", "message": "not found"})
    status, reason, message = state(view(batch(), batch_job(), [waiting]))
    assert (status, reason) == ("False", "ImagePullFailed")
    assert "batchImage of the operator's chart" in message


@pytest.mark.parametrize("code", [0, 1])
def test_a_worker_that_has_just_ended_does_not_crash_again_and_again(code: int) -> None:
    # The kubelet tells of the container's end before that of the pod.
    ended = batch_pod(0, "Running", code=code)
    ended["status"]["containerStatuses"][0]["ready"] = False
    next(entry for entry in ended["status"]["conditions"] if entry["type"] == "Ready")["status"] = "False"
    assert state(view(batch(shards=1), batch_job(), [ended]))[1] == "Working"


def test_a_claim_that_is_not_there_is_named() -> None:
    said = 'persistentvolumeclaim "prompts" not found'
    unbound = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}
    pod = batch_pod(0, "Pending")
    pod["status"]["conditions"].append(unbound)
    assert state(view(batch(), batch_job(), [pod]))[1] == "VolumePending"
    assert state(view(batch(), batch_job(), [pod]))[2].endswith("create it, the pod then starts by itself")


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        (batch_pod(0, "Failed", code=1, said="no bucket"), "(1 of 6): no bucket"),
        (batch_pod(0, "Failed", code=137, terminated={"reason": "OOMKilled"}), "lower spec.concurrency"),
        (batch_pod(0, "Failed", code=1, said='{"completed": 3}'), "exit code 1"),
    ],
    ids=["with words", "killed for memory", "with figures"],
)
def test_a_worker_that_failed_is_told_until_the_next_begins(pod: dict[str, Any], words: str) -> None:
    seen = view(batch(shards=1), batch_job(), [pod])
    assert state(seen)[1] == "WorkerFailed"
    assert words in state(seen)[2]
    assert state(view(batch(shards=1), batch_job(), [pod, batch_pod(0, number=2)]))[1] == "Working"


def test_a_worker_whose_node_was_drained_does_not_count_as_failed() -> None:
    drained = batch_pod(0, "Failed", code=1)
    drained["status"]["conditions"].append({"type": "DisruptionTarget", "status": "True", "reason": "x"})
    assert "(0 of 6)" in state(view(batch(shards=1), batch_job(), [drained]))[2]
    failed = batch_pod(0, "Failed", number=2, code=1)
    assert "(1 of 6)" in state(view(batch(shards=1), batch_job(), [drained, failed]))[2]


def test_a_worker_that_refused_is_not_said_to_be_started_again_while_the_others_are_stopped() -> None:
    refused = batch_pod(0, "Failed", code=2, said="there is no march.jsonl")
    stopping = {**FAILED, "type": "FailureTarget"}
    told = state(view(batch(shards=2), batch_job(stopping), [refused, batch_pod(1)]))
    assert told[1] == "Working"


def test_a_shard_that_was_given_up_is_not_said_to_be_started_again() -> None:
    pods = [batch_pod(0, "Failed", number=number, code=1, said="no bucket") for number in range(1, 8)]
    seen = view(batch(shards=2), batch_job(failedIndexes="0"), [*pods, batch_pod(1)])
    assert state(seen) == (
        "True",
        "Working",
        "1 of 2 shards are worked on, 0 done, 1 failed too often: the batch fails when the others are done (no bucket)",
    )


def test_a_pod_that_ends_is_named_with_its_node_because_no_other_begins_before() -> None:
    ending = batch_pod(0)
    ending["metadata"]["deletionTimestamp"] = "2025-06-15T15:10:00Z"
    ending["spec"] = {"nodeName": "node-1"}
    status, reason, message = state(view(batch(shards=2), batch_job(), [ending, batch_pod(1)]))
    assert (status, reason) == ("True", "Working")
    assert message == (
        "1 of 2 shards are worked on, 0 done; shard 0 goes on when pod march-0-1 has ended: if node-1 is lost, delete "
        "that Node"
    )
    assert state(view(batch(shards=1), batch_job(), [ending]))[1] == "WorkersStarting"


def test_workers_that_do_not_start_say_where_to_look() -> None:
    message = "0 of 4 shards are worked on, 0 done; no pod runs yet: if that lasts, see kubectl describe job march"
    assert state(view(batch(), batch_job())) == ("False", "WorkersStarting", message)
    assert state(view(batch(), batch_job(), [batch_pod(0, "Pending")]))[2].endswith("kubectl describe pod march-0-1")
    assert "describe" not in state(view(batch(), batch_job(), [batch_pod(0, "Pending"), batch_pod(1)]))[2]


def test_a_batch_whose_workers_have_all_ended_well_does_not_start_again() -> None:
    done = batch_pod(0, "Succeeded", code=0, said=json.dumps({"lines": 5, "completed": 5, "failed": 0}))
    assert state(view(batch(shards=1), batch_job(), [done])) == (
        "True",
        "Working",
        "0 of 1 shards are worked on, 1 done",
    )


def test_the_end_is_told_with_what_failed() -> None:
    done = [batch_pod(0, "Succeeded", code=0, said=json.dumps({"lines": 5, "completed": 4, "failed": 1}))]
    seen = view(batch(shards=1), batch_job(COMPLETE, completedIndexes="0"), done)
    told = conditions(seen)
    assert told["Complete"]["status"] == "True"
    assert told["Complete"]["message"] == "1 of 5 lines have no answer: pvc://answers/march/errors.jsonl says why"
    assert told["Failed"] == {**told["Failed"], "status": "False", "reason": "NotMet"}
    assert report(seen).completion_time == "2025-06-15T15:20:00Z"
    assert report(seen).percent == 100


@pytest.mark.parametrize("is_read", [True, False])
def test_bad_input_is_told_in_the_worker_s_words_or_the_job_s(is_read: bool) -> None:
    pods = [batch_pod(0, "Failed", code=2, said="there is no march.jsonl")] if is_read else []
    failed = conditions(view(batch(), batch_job(FAILED), pods))["Failed"]
    words = "there is no march.jsonl" if is_read else "a rule matched"
    assert (failed["status"], failed["reason"], failed["message"]) == ("True", "Refused", words)


def test_shards_that_failed_too_often_are_named() -> None:
    failed = {**FAILED, "reason": "FailedIndexes"}
    pods = [batch_pod(2, "Failed", code=1, said="the bucket is away")]
    told = conditions(view(batch(), batch_job(failed, failedIndexes="2"), pods))["Failed"]
    assert told["reason"] == "ShardsFailed"
    assert told["message"].startswith("shards 2 failed too often (the bucket is away)")


def test_what_has_ended_stays_as_it_was_told_whatever_comes() -> None:
    ended = report(view(batch(shards=1), batch_job(COMPLETE, completedIndexes="0")))
    body = batch_object(status=ended.to_wire(), shards=1, suspend=True)
    body["metadata"]["generation"] = 2
    later = see(Batch.from_object(body), None, (), None, None)
    assert make_batch_status(later, None, None, now=NOW + 60) == ended.model_copy(update={"observed_generation": 2})


def test_a_suspended_batch_says_so() -> None:
    told = conditions(view(batch(suspend=True), batch_job(suspend=True)))
    assert (told["Suspended"]["status"], told["Progressing"]["reason"]) == ("True", "Suspended")


def test_the_name_of_somebody_else_s_job_is_told() -> None:
    job = batch_job()
    job["metadata"]["ownerReferences"] = []
    assert state(view(batch(), job))[1] == "NotOwned"


def test_what_an_earlier_batch_of_that_name_has_left_is_waited_for() -> None:
    job = batch_job()
    job["metadata"]["ownerReferences"][0]["uid"] = "uid-earlier"
    message = "Job march of an earlier batch of this name is still being removed: this one begins when it is gone"
    assert state(view(batch(), job)) == ("False", "NotOwned", message)


def test_times_of_conditions_move_on_a_flip_alone() -> None:
    first = report(view(batch(), batch_job(), [batch_pod(0)]))
    known = batch(status=first.to_wire())
    again = make_batch_status(view(known, batch_job(), [batch_pod(0)]), None, None, now=NOW + 60)
    assert again == first
    gone = make_batch_status(see(known, batch_job(), (), None, None), None, None, now=NOW + 60)
    moved = [
        entry.type
        for entry, before in zip(gone.conditions, first.conditions, strict=True)
        if entry.last_transition_time != before.last_transition_time
    ]
    assert moved == ["Progressing"]


# Figures.


def test_figures_are_sums_over_the_shards_and_give_the_time_that_is_left() -> None:
    seen = telling(
        view(batch(shards=2), batch_job(), [batch_pod(0), batch_pod(1)]),
        march_0_1=Progress(1000, 300, 10, 3000, 900, 5, 4.0),
        march_1_1=Progress(1000, 200, 0, 2000, 600, 0, 6.0),
    )
    told = report(seen).to_wire()
    expected = {
        "lines": 2000, "completed": 500, "failed": 10, "percent": 25, "promptTokens": 5000, "completionTokens": 1500,
        "linesResumed": 5, "linesPerSecond": 10.0, "startTime": "2025-06-15T15:01:00Z",
        "estimatedCompletion": "2025-06-15T15:09:09Z",
    }  # fmt: skip
    assert told | expected == told


def test_a_batch_that_has_failed_tells_no_time_of_its_end() -> None:
    working = view(batch(shards=1), batch_job(FAILED), [batch_pod(0)])
    told = report(telling(working, march_0_1=Progress(10, 5, 0, 0, 0, 0, 1.0)))
    assert (told.completed, told.estimated_completion, told.lines_per_second) == (5, None, None)


def test_a_time_that_no_calendar_has_is_not_told() -> None:
    seen = telling(view(batch(shards=1), batch_job(), [batch_pod(0)]), march_0_1=Progress(MOST, 1, 0, 0, 0, 0, 0.01))
    assert report(seen).estimated_completion is None


def test_lines_that_were_counted_stay_counted() -> None:
    before = report(telling(view(batch(shards=1), batch_job(), [batch_pod(0)]), march_0_1=Progress(10)))
    known = batch(shards=1, status=before.to_wire())
    counting = telling(view(known, batch_job(), [batch_pod(0, number=2)]), march_0_2=Progress(None))
    assert report(counting).lines == 10


def test_how_much_is_left_is_not_said_before_every_shard_has_counted() -> None:
    seen = view(batch(shards=2), batch_job(), [batch_pod(0), batch_pod(1)])
    told = report(telling(seen, march_0_1=Progress(10, 5, 0, 0, 0, 0, 1.0), march_1_1=Progress(None)))
    assert (told.lines, told.percent, told.estimated_completion, told.completed) == (None, None, None, 5)


def test_no_worker_that_is_lost_takes_its_lines_with_it() -> None:
    before = report(telling(view(batch(shards=1), batch_job(), [batch_pod(0)]), march_0_1=Progress(10, 7, 1)))
    known = batch(shards=1, status=before.to_wire())
    assert report(view(known, batch_job())).completed == 7
    counting = telling(view(known, batch_job(), [batch_pod(0, number=2)]), march_0_2=Progress(None, 0, 0))
    assert (report(counting).completed, report(counting).lines) == (7, 10)
    resumed = telling(view(known, batch_job(), [batch_pod(0, number=2)]), march_0_2=Progress(10, 7, 1, 0, 0, 8))
    assert report(resumed).lines_resumed == 8


@given(st.randoms(use_true_random=False), st.lists(st.integers(0, 20), min_size=1, max_size=3))
def test_the_per_cent_never_fall_nor_pass_100(chance: Random, lines: list[int]) -> None:
    known: dict[str, Any] = {}
    done, told = [0] * len(lines), [-1]
    ended: set[int] = set()
    for number in range(1, 10):
        pods, answers = [], {}
        for shard, count in enumerate(lines):
            # What was not written goes with a lost pod.
            done[shard] = max(0, min(count, done[shard] + chance.randint(-3, 8)))
            ended |= {shard} if done[shard] == count else set()
            phase = "Succeeded" if shard in ended else chance.choice(["Running", "Pending", "Failed"])
            said = {"lines": count, "completed": count, "failed": 0} if shard in ended else None
            pods.append(batch_pod(shard, phase, number=number, code=0 if said else None, said=json.dumps(said)))
            if phase == "Running":
                answers[f"march_{shard}_{number}"] = Progress(chance.choice([None, count]), done[shard])
        job = batch_job(completedIndexes=",".join(map(str, sorted(ended))))
        seen = report(telling(view(batch(shards=len(lines), status=known), job, pods), **answers))
        known = seen.to_wire()
        told.append(-1 if seen.percent is None else seen.percent)
    assert told == sorted(told)
    assert told[-1] <= 100


def test_a_shard_whose_last_pod_was_lost_is_done_by_the_job_s_word() -> None:
    before = report(telling(view(batch(shards=2), batch_job(), [batch_pod(0)]), march_0_1=Progress(10, 7, 1)))
    seen = view(batch(shards=2, status=before.to_wire()), batch_job(completedIndexes="0"))
    assert report(seen).to_wire()["shards"] == [
        {
            "shard": 0, "done": True, "lines": 10, "completed": 9, "failed": 1,
            "promptTokens": 0, "completionTokens": 0, "linesResumed": 0,
        },
    ]  # fmt: skip


def test_a_job_s_list_of_indexes_may_have_spans() -> None:
    told = report(view(batch(shards=8), batch_job(completedIndexes="0,2-4,7")))
    assert [shard.shard for shard in told.shards if shard.done] == [0, 2, 3, 4, 7]


def test_the_last_per_cent_is_the_end_s() -> None:
    seen = telling(view(batch(shards=1), batch_job(), [batch_pod(0)]), march_0_1=Progress(10, 10, 0))
    assert report(seen).percent == 99


@pytest.mark.parametrize(
    "text",
    [
        "", "no JSON", "[1]", "[" * 2000, "null", "{}", '{"completed": "many"}', '{"completed": true}',
        '{"completed": 1, "failed": null}', '{"completed": 1, "linesPerSecond": "fast"}', '{"completed": NaN}',
        '{"completed": Infinity}', '{"completed": 1, "linesPerSecond": NaN}',
    ],
)  # fmt: skip
def test_what_are_no_figures_is_not_taken_for_some(text: str) -> None:
    assert parse_progress(text) is None


def test_figures_are_bounded() -> None:
    told = parse_progress('{"lines": 1e30, "completed": -5, "failed": 2.9, "linesPerSecond": -1, "more": {}}')
    assert told == Progress(lines=MOST, completed=0, failed=2)


def test_pods_of_somebody_else_are_not_read() -> None:
    theirs = batch_pod(0)
    theirs["metadata"]["ownerReferences"] = []
    unnumbered = batch_pod(1)
    unnumbered["metadata"]["annotations"] = {}
    assert view(batch(), batch_job(), [theirs, unnumbered]).pods == ()


def test_an_own_endpoint_of_that_name_that_is_somebody_else_s_is_told() -> None:
    own = batch(endpointRef=None, endpoint={"model": {"source": "hf://acme/llama"}})
    theirs = endpoint_object("march")
    seen = see(own, None, (), Endpoint.from_object(theirs), theirs)
    assert state(seen)[1] == "NotOwned"
