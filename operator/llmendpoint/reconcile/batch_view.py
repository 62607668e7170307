"""The state of the world regarding one batch, and what to write so that it goes on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llmendpoint.api import names
from llmendpoint.api.batch import Batch
from llmendpoint.api.conditions import BatchConditionType, ConditionType, Reason
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.api.status import Condition
from llmendpoint.manifests.batch import BATCH_CONTAINER, batch_job, own_endpoint
from llmendpoint.manifests.common import ManifestDefaults
from llmendpoint.reconcile.batch_progress import Progress
from llmendpoint.reconcile.observation import Manifest, condition, ending, is_owned
from llmendpoint.reconcile.trouble import Trouble

SHARD_ANNOTATION = "batch.kubernetes.io/job-completion-index"
ENDS = (BatchConditionType.COMPLETE, BatchConditionType.FAILED)


@dataclass(frozen=True)
class BatchView:
    """One batch, its Job with its pods, and the endpoint that answers."""

    batch: Batch
    job: Manifest | None = None
    pods: tuple[Manifest, ...] = ()
    """Oldest first."""
    endpoint: Endpoint | None = None
    stranger: Trouble | None = None
    """Somebody else has the name of what the batch would make."""
    answers: Mapping[str, Progress] = field(default_factory=dict)
    """What running pods said, by name."""

    @property
    def is_finished(self) -> bool:
        """Whether the status says that the batch has ended, from which it does not come back."""
        return any(entry.type in ENDS and entry.status == "True" for entry in self.batch.status.conditions)

    @property
    def is_working(self) -> bool:
        """Whether the Job has begun, is not stopped and not done."""
        status = (self.job or {}).get("status") or {}
        return bool(status.get("startTime")) and not self.job_ended("Complete") and not self.job_ended("Failed")

    @property
    def can_be_answered(self) -> bool:
        """Whether the endpoint takes requests: by a replica, or by an activator that holds them and wakes it."""
        if self.endpoint is None or self.endpoint.deleting:
            return False
        ready = condition_of(self.endpoint, ConditionType.READY)
        return self.endpoint.status.ready_replicas > 0 or (ready is not None and ready.reason == Reason.ASLEEP)

    def job_ended(self, how: str) -> Manifest | None:
        """The Job's condition Complete or Failed, where it is True."""
        found = condition(self.job, how) if self.job else None
        return found if found and found["status"] == "True" else None

    def pods_of(self, shard: int) -> list[Manifest]:
        """Pods of one shard, oldest first."""
        return [pod for pod in self.pods if shard_of(pod) == shard]


@dataclass(frozen=True)
class BatchPlan:
    """All writes of one look at a batch."""

    creates: tuple[Mapping[str, Any], ...] = ()
    suspend: bool | None = None
    """What to set in the Job; None leaves it."""
    removes_endpoint: bool = False
    """Delete the endpoint, which is the batch's own."""


def see(
    batch: Batch,
    job: Manifest | None,
    pods: Iterable[Manifest],
    endpoint: Endpoint | None,
    endpoint_body: Manifest | None,
) -> BatchView:
    """Gather what belongs to a batch.

    Args:
        endpoint_body: the object that the endpoint was read from, to see whose it is.
    """
    strangers = [("Job", job)]
    if batch.spec.is_own:
        strangers.append(("LLMEndpoint", endpoint_body))
    for kind, body in strangers:
        if body is not None and not is_owned(body, batch.uid):
            message = (
                f"{kind} {batch.name} exists and does not belong to this batch: delete it, or give the batch "
                "another name"
            )
            if _is_of_a_batch(body, batch.name):
                message = (
                    f"{kind} {batch.name} of an earlier batch of this name is still being removed: this one begins "
                    "when it is gone"
                )
            return BatchView(batch, stranger=Trouble(Reason.NOT_OWNED, message))
    ours = (
        ()
        if job is None
        else (pod for pod in pods if is_owned(pod, job["metadata"]["uid"]) and shard_of(pod) is not None)
    )
    return BatchView(
        batch, job, tuple(sorted(ours, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))), endpoint
    )


def make_batch_plan(seen: BatchView, defaults: ManifestDefaults) -> BatchPlan:
    """What to write. The Job is made once: but for its being suspended nothing of it can be changed."""
    batch, endpoint = seen.batch, seen.endpoint
    if seen.stranger:
        return BatchPlan()
    removes = batch.spec.is_own and endpoint is not None and not endpoint.deleting
    if seen.is_finished:
        return BatchPlan(removes_endpoint=removes)
    if batch.spec.suspend:
        return BatchPlan(suspend=_other(seen.job, suspend=True), removes_endpoint=removes)
    if seen.job_ended("Complete") or seen.job_ended("Failed"):
        return BatchPlan()
    if endpoint is None and batch.spec.endpoint is not None:
        return BatchPlan(creates=(own_endpoint(batch, batch.spec.endpoint),))
    if endpoint is None or not seen.can_be_answered:
        return BatchPlan()
    if seen.job is None:
        return BatchPlan(creates=(batch_job(batch, endpoint, defaults),))
    return BatchPlan(suspend=_other(seen.job, suspend=False))


def condition_of(endpoint: Endpoint, kind: ConditionType) -> Condition | None:
    """What an endpoint says of itself."""
    return next((entry for entry in endpoint.status.conditions if entry.type == kind), None)


def _is_of_a_batch(body: Manifest, name: str) -> bool:
    owners = body["metadata"].get("ownerReferences") or ()
    return any((owner["kind"], owner["name"]) == (names.BATCH_KIND, name) for owner in owners)


def shard_of(pod: Manifest) -> int | None:
    """The shard that a pod works on, as the Job's controller has marked it."""
    index = str((pod["metadata"].get("annotations") or {}).get(SHARD_ANNOTATION, ""))
    return int(index) if index.isdecimal() else None


def last_words(pod: Manifest) -> str:
    """What the worker in a pod said when it ended; empty where it has not, or said nothing."""
    return str(ending(pod, BATCH_CONTAINER).get("message") or "").strip()


def exit_code(pod: Manifest) -> int | None:
    """How the worker in a pod ended; None where it has not."""
    code: int | None = ending(pod, BATCH_CONTAINER).get("exitCode")
    return code


def ended_by(pod: Manifest) -> str:
    """Why it ended in one word of the kubelet's, for example OOMKilled."""
    return str(ending(pod, BATCH_CONTAINER).get("reason", ""))


def phase(pod: Manifest) -> str:
    """Pending, Running, Succeeded or Failed."""
    return str((pod.get("status") or {}).get("phase", ""))


def _other(job: Manifest | None, *, suspend: bool) -> bool | None:
    """What to set in a Job; None where it is so."""
    return suspend if job is not None and bool(job["spec"].get("suspend")) != suspend else None
