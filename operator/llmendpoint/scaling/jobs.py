"""Replicas for the jobs of spec.async: so many that each has a backlog at the target, and more while a job is late.

A job waits in the queue and not in an engine, so every new replica shortens it: unlike requests (backlog.py), the whole
backlog is a measure of the replicas that are of use. What a policy asks for is not touched; the larger of both counts.
https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-autoscale.html
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmendpoint.api.scaling import Scaling
from llmendpoint.scaling import cooldown
from llmendpoint.scaling.decision import Desire
from llmendpoint.scaling.job_queue import JobQueue
from llmendpoint.scaling.state import ScalerState


def with_jobs(scaling: Scaling, state: ScalerState, desire: Desire, jobs: JobQueue | None, now: float) -> Desire:
    """What a policy asks for and what the jobs do, the larger of both."""
    return desire if jobs is None else JobsDesire(desire, jobs, *_wanted(scaling, state, jobs, now))


def replicas_for_backlog(pending: int, per_replica: int) -> int:
    """Replicas among which the jobs are no more than ``per_replica`` each."""
    return math.ceil(pending / per_replica)


def _wanted(scaling: Scaling, state: ScalerState, jobs: JobQueue, now: float) -> tuple[int, int]:
    """Replicas for the backlog, and for a job that waits too long: one more than there are once the last ones serve."""
    by_backlog = replicas_for_backlog(jobs.pending, jobs.per_replica)
    if not jobs.is_late:
        return by_backlog, 0
    waits = state.awaiting or cooldown.scale_out_until(state, scaling.scale_out.cooldown_seconds, now) is not None
    return by_backlog, state.desired if waits and state.desired else state.desired + 1


@dataclass(frozen=True)
class JobsDesire:
    """The larger of what a policy asks for and what the jobs do."""

    policy: Desire
    jobs: JobQueue
    by_backlog: int
    for_late: int
    """0 where no job is late."""

    @property
    def raw(self) -> int:
        """Replicas."""
        return max(self.policy.raw, self.by_backlog, self.for_late)

    @property
    def why(self) -> str:
        """The policy's sum, then the jobs'."""
        return f"{self.policy.why}; {self._jobs}"

    @property
    def _jobs(self) -> str:
        backlog = self.jobs.backlog
        if backlog is None:
            return "how many jobs wait is not known"
        if not self.jobs.pending:
            return "no job waits"
        text = (
            f"jobs: {backlog.queued} waiting + {backlog.in_progress} in work / {self.jobs.per_replica} "
            f"(backlogPerReplica) -> {self.by_backlog}"
        )
        if not self.for_late:
            return text
        oldest = f"{backlog.oldest_seconds:.0f} s of {self.jobs.longest_wait:.0f} s (oldestSeconds)"
        return f"{text}; the oldest waits for {oldest} -> {self.for_late}"

    @property
    def inputs(self) -> Mapping[str, Any]:
        """The policy's, and the queue's."""
        backlog = self.jobs.backlog
        return {
            **self.policy.inputs,
            "jobsQueued": backlog.queued if backlog else None,
            "jobsInProgress": backlog.in_progress if backlog else None,
            "oldestJobSeconds": round(backlog.oldest_seconds, 1) if backlog else None,
            "backlogPerReplica": self.jobs.per_replica,
            "oldestSeconds": self.jobs.longest_wait,
        }

    @property
    def terms(self) -> Mapping[str, Any]:
        """The policy's, and what each consideration asks for."""
        return {
            **self.policy.terms,
            "policyReplicas": self.policy.raw,
            "jobReplicas": self.by_backlog,
            "lateJobReplicas": self.for_late,
        }
