"""What a batch's status says, as a pure function of what was seen."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from llmendpoint.api.batch import BatchStatus, BatchUsage, ShardStatus
from llmendpoint.api.conditions import BatchConditionType, BatchReason, ConditionType
from llmendpoint.api.status import Condition
from llmendpoint.manifests.batch import EXIT_REFUSED, RETRIES_PER_SHARD
from llmendpoint.reconcile.batch_progress import Progress, parse_progress
from llmendpoint.reconcile.batch_view import BatchView, condition_of, ended_by, exit_code, last_words, phase, shard_of
from llmendpoint.reconcile.observation import Manifest, condition, is_finished, view_of
from llmendpoint.reconcile.status import LONGEST_MESSAGE
from llmendpoint.reconcile.trouble import Trouble, pod_trouble
from llmendpoint.scaling.record import rfc3339

LONGEST_WORDS = 2000
# What would take a century is not foretold.
LONGEST_SECONDS = 100 * 365 * 86_400.0


class State(NamedTuple):
    """The condition Progressing, which is what the batch does or why it does not."""

    status: str
    reason: str
    message: str


StateRule = Callable[[BatchView, BatchStatus, Trouble | None], State | None]


def has_completed(seen: BatchView, figures: BatchStatus, _: Trouble | None) -> State | None:
    """Every line is done."""
    if not seen.job_ended("Complete"):
        return None
    if figures.failed:
        of = f"{figures.failed} of {figures.lines}" if figures.lines else str(figures.failed)
        where = f"{seen.batch.spec.output.uri}/errors.jsonl"
        return State("False", BatchReason.SOME_LINES_FAILED, f"{of} lines have no answer: {where} says why")
    return State("False", BatchReason.ALL_LINES_ANSWERED, f"{figures.completed} lines are answered")


def has_failed(seen: BatchView, _: BatchStatus, __: Trouble | None) -> State | None:
    """It has ended before that."""
    failed = seen.job_ended("Failed")
    if not failed:
        return None
    refused = [pod for pod in seen.pods if exit_code(pod) == EXIT_REFUSED]
    if refused or failed.get("reason") == "PodFailurePolicy":
        words = next((said for pod in refused if (said := _words(last_words(pod)))), str(failed.get("message", "")))
        return State("False", BatchReason.REFUSED, words)
    shards = _job_status(seen).get("failedIndexes") or "of the Job"
    return State(
        "False",
        BatchReason.SHARDS_FAILED,
        f"shards {shards} failed too often ({_said_by_failed(seen)}): delete the batch and create it anew when the "
        "cause is gone; it goes on from what is done",
    )


def is_suspended(seen: BatchView, _: BatchStatus, __: Trouble | None) -> State | None:
    """It is to do nothing."""
    if not seen.batch.spec.suspend:
        return None
    return State("False", BatchReason.SUSPENDED, "spec.suspend is set: with false it goes on from what is done")


def was_refused(seen: BatchView, _: BatchStatus, failure: Trouble | None) -> State | None:
    """Something could not be written."""
    trouble = seen.stranger or failure
    return State("False", trouble.reason, trouble.message) if trouble else None


def has_no_endpoint(seen: BatchView, _: BatchStatus, __: Trouble | None) -> State | None:
    """Nobody could answer."""
    name = seen.batch.endpoint_name
    if seen.endpoint is None and not seen.batch.spec.is_own:
        words = f"there is no LLMEndpoint {name} in this namespace: create it, the batch then begins by itself"
        return State("False", BatchReason.ENDPOINT_NOT_FOUND, words)
    if seen.can_be_answered:
        return None
    ready = condition_of(seen.endpoint, ConditionType.READY) if seen.endpoint else None
    why = ready.message if ready else "it is being created"
    return State("False", BatchReason.ENDPOINT_NOT_READY, f"no replica of LLMEndpoint {name} can answer yet: {why}")


def has_trouble(seen: BatchView, _: BatchStatus, __: Trouble | None) -> State | None:
    """A pod does not start."""
    if seen.endpoint is None:
        return None
    # A container's end is told before that of its pod, and would look like a crash.
    begun = (view_of(pod) for pod in seen.pods if not is_finished(pod) and exit_code(pod) is None)
    trouble = pod_trouble(seen.endpoint.spec, begun)
    return State("False", trouble.reason, trouble.message) if trouble else None


def tries_again(seen: BatchView, _: BatchStatus, __: Trouble | None) -> State | None:
    """The last worker of a shard failed and the next has not begun."""
    for shard in sorted(set(range(seen.batch.spec.shards)) - _given_up(seen)):
        pods = seen.pods_of(shard)
        if pods and phase(pods[-1]) == "Failed" and exit_code(pods[-1]) != EXIT_REFUSED:
            tries = sum(phase(pod) == "Failed" and not condition(pod, "DisruptionTarget") for pod in pods)
            said = _words(last_words(pods[-1])) or _cause(pods[-1])
            return State(
                "False",
                BatchReason.WORKER_FAILED,
                f"the worker of shard {shard} failed and is started again ({tries} of {RETRIES_PER_SHARD}): {said}",
            )
    return None


def works(seen: BatchView, figures: BatchStatus, _: Trouble | None) -> State:
    """Lines are answered, or soon will be."""
    ending = [pod for pod in seen.pods if "deletionTimestamp" in pod["metadata"] and not is_finished(pod)]
    running = sum(phase(pod) == "Running" and pod not in ending for pod in seen.pods)
    done = sum(shard.done for shard in figures.shards)
    words = f"{running} of {seen.batch.spec.shards} shards are worked on, {done} done"
    if given_up := _given_up(seen):
        said = _said_by_failed(seen)
        words += f", {len(given_up)} failed too often: the batch fails when the others are done ({said})"
    for pod in ending[:1]:  # with the kubelet of a lost node nobody says that it has ended
        name, node = pod["metadata"]["name"], (pod.get("spec") or {}).get("nodeName", "its node")
        words += f"; shard {shard_of(pod)} goes on when pod {name} has ended: if {node} is lost, delete that Node"
    is_starting = not running and done < seen.batch.spec.shards
    if seen.job and is_starting and not ending:  # a quota that refuses pods, or a volume, is in events alone
        pending = next((f"pod {pod['metadata']['name']}" for pod in seen.pods if phase(pod) == "Pending"), None)
        words += f"; no pod runs yet: if that lasts, see kubectl describe {pending or f'job {seen.batch.name}'}"
    if is_starting:
        return State("False", BatchReason.WORKERS_STARTING, words)
    return State("True", BatchReason.WORKING, words)


STATE_RULES: tuple[StateRule, ...] = (
    has_completed,
    has_failed,
    is_suspended,
    was_refused,
    has_no_endpoint,
    has_trouble,
    tries_again,
)


def make_batch_status(seen: BatchView, failure: Trouble | None, usage: BatchUsage | None, *, now: float) -> BatchStatus:
    """The status to report. One that has ended says for ever what it said then.

    Args:
        failure: why something could not be written.
        usage: GPU-hours so far.
        now: seconds since the epoch.
    """
    known, generation = seen.batch.status, seen.batch.generation
    if seen.is_finished:
        return known.model_copy(update={"observed_generation": generation})
    figures = _figures(seen, usage, now)
    state = next((found for rule in STATE_RULES if (found := rule(seen, figures, failure))), None)
    state = state or works(seen, figures, failure)
    ended = seen.job_ended("Complete") or seen.job_ended("Failed")
    return figures.model_copy(
        update={
            "conditions": _conditions(seen, state, rfc3339(now)),
            "completion_time": str(ended["lastTransitionTime"]) if ended else None,
        }
    )


def is_news(status: BatchStatus, known: BatchStatus) -> bool:
    """Whether a status tells of another state, which is worth writing at once."""
    return status.conditions != known.conditions or status.observed_generation != known.observed_generation


def _conditions(seen: BatchView, state: State, now: str) -> list[Condition]:
    known = {entry.type: entry for entry in seen.batch.status.conditions}
    is_true = {
        BatchConditionType.COMPLETE: bool(seen.job_ended("Complete")),
        BatchConditionType.FAILED: bool(seen.job_ended("Failed")),
        BatchConditionType.SUSPENDED: state.reason == BatchReason.SUSPENDED,
    }
    states = {
        kind: State("True", state.reason, state.message) if holds else State("False", BatchReason.NOT_MET, "")
        for kind, holds in is_true.items()
    }
    return [
        Condition(
            type=kind,
            status=entry.status,
            reason=entry.reason,
            message=entry.message[:LONGEST_MESSAGE],
            observed_generation=seen.batch.generation,
            last_transition_time=before.last_transition_time
            if (before := known.get(kind)) and before.status == entry.status
            else now,
        )
        for kind, entry in (states | {BatchConditionType.PROGRESSING: state}).items()
    ]


def _figures(seen: BatchView, usage: BatchUsage | None, now: float) -> BatchStatus:
    """All numbers: sums over the shards."""
    batch = seen.batch
    shards = [_shard(seen, index) for index in range(batch.spec.shards)]
    counted = [shard.lines for shard in shards]
    lines = None if None in counted else sum(count or 0 for count in counted)
    completed, failed = (sum(getattr(shard, name) for shard in shards) for name in ("completed", "failed"))
    answers = () if seen.job_ended("Failed") else seen.answers.values()
    pace = round(sum(said.lines_per_second for said in answers), 2) if answers else None
    left = None if lines is None else max(lines - completed - failed, 0)
    seconds = left / pace if left and pace else None
    return BatchStatus(
        observed_generation=batch.generation,
        endpoint=batch.endpoint_name,
        start_time=batch.status.start_time or _job_status(seen).get("startTime"),
        estimated_completion=rfc3339(math.ceil(now + seconds)) if seconds and seconds < LONGEST_SECONDS else None,
        lines=lines,
        completed=completed,
        failed=failed,
        # The last per cent is the end's: the files are put together after the last line.
        percent=None if not lines else _percent(completed + failed, lines, is_done=all(s.done for s in shards)),
        prompt_tokens=sum(shard.prompt_tokens for shard in shards),
        completion_tokens=sum(shard.completion_tokens for shard in shards),
        lines_resumed=sum(shard.lines_resumed for shard in shards),
        lines_per_second=pace,
        usage=usage,
        shards=[shard for shard in shards if shard != ShardStatus(shard=shard.shard)],
    )


def _percent(done: int, lines: int, *, is_done: bool) -> int:
    return 100 if is_done else min(100 * done // lines, 99)


def _shard(seen: BatchView, index: int) -> ShardStatus:
    """How far a shard is: by its last words, or by the most that anybody said of it."""
    known = next((shard for shard in seen.batch.status.shards if shard.shard == index), ShardStatus(shard=index))
    is_done = known.done or index in _indexes(_job_status(seen).get("completedIndexes") or "")
    said = [Progress(**known.model_dump(exclude={"shard", "done"}))]
    for pod in seen.pods_of(index):
        told = seen.answers.get(pod["metadata"]["name"]) or parse_progress(last_words(pod))
        if told and phase(pod) == "Succeeded":
            return _status_of(index, told, done=True)
        said += [told] if told else []
    furthest = said[0]
    for told in said[1:]:  # of two that are as far the later one
        furthest = told if told.finished_lines >= furthest.finished_lines else furthest
    if furthest.lines is None:  # one that has just begun and found nothing done
        furthest = replace(furthest, lines=known.lines)
    status = _status_of(index, furthest, done=is_done)
    if is_done and status.lines is not None:  # its pod went before it was read
        status = status.model_copy(update={"completed": status.lines - status.failed})
    return status


def _status_of(index: int, progress: Progress, *, done: bool) -> ShardStatus:
    return ShardStatus(
        shard=index,
        done=done,
        lines=progress.lines,
        completed=progress.completed,
        failed=progress.failed,
        prompt_tokens=progress.prompt_tokens,
        completion_tokens=progress.completion_tokens,
        lines_resumed=progress.lines_resumed,
    )


def _job_status(seen: BatchView) -> Manifest:
    status: Manifest = (seen.job or {}).get("status") or {}
    return status


def _given_up(seen: BatchView) -> set[int]:
    """Shards whose workers failed too often."""
    return _indexes(_job_status(seen).get("failedIndexes") or "")


def _said_by_failed(seen: BatchView) -> str:
    """What the last worker that failed said to people."""
    failed = [pod for pod in seen.pods if phase(pod) == "Failed"]
    return next((said for pod in reversed(failed) if (said := _words(last_words(pod)))), "their workers said nothing")


def _indexes(text: str) -> set[int]:
    """The numbers in a Job's list of indexes: ``1,3-5,7``."""
    found: set[int] = set()
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", text):
        found.update(range(int(first), int(last or first) + 1))
    return found


def _cause(pod: Manifest) -> str:
    """Why a worker ended that said nothing."""
    if ended_by(pod) == "OOMKilled":
        return "it was killed for using more memory than its limit, lower spec.concurrency"
    return f"exit code {exit_code(pod)}"


def _words(text: str) -> str:
    """What a worker said to people: figures are none."""
    return "" if parse_progress(text) else text[:LONGEST_WORDS]
