"""What the jobs of spec.async ask for beside the policy, redone from the readings of their queue."""

from collections.abc import Iterator

from llmendpoint.api.status import DecisionRecord
from llmendpoint.cli.explanation.sums import Sum, checked, number, said
from llmendpoint.scaling.jobs import replicas_for_backlog


def policy_alone(decision: DecisionRecord) -> DecisionRecord:
    """The record as if the policy had been asked alone."""
    asked = number(decision.terms, "policyReplicas")
    return decision if asked is None else decision.model_copy(update={"raw": round(asked)})


def job_sums(decision: DecisionRecord) -> Iterator[Sum]:
    """Replicas for the backlog, for a job that waits too long, and the largest of all; nothing without a queue."""
    inputs, terms = decision.inputs, decision.terms
    policy, backlog, late = (number(terms, name) for name in ("policyReplicas", "jobReplicas", "lateJobReplicas"))
    if policy is None or backlog is None or late is None:
        return
    yield _backlog(decision, backlog)
    if late:
        oldest, limit = (number(inputs, name) or 0.0 for name in ("oldestJobSeconds", "oldestSeconds"))
        waits = late == decision.current
        yield checked(
            "Late job",
            "one replica more than there are, once the last ones ordered serve and their cooldown is over",
            f"{said(oldest)} s is longer than {said(limit)} s: {decision.current}{'' if waits else ' + 1'}",
            decision.current if waits else decision.current + 1,
            late,
        )
    yield checked(
        "Want with jobs",
        "the largest of what the policy, the jobs and a late job ask for",
        f"max({said(policy)}, {said(backlog)}, {said(late)})",
        max(policy, backlog, late),
        decision.raw,
    )


def _backlog(decision: DecisionRecord, recorded: float) -> Sum:
    formula = "(jobs that wait + jobs in work) / backlogPerReplica, rounded up"
    names = ("jobsQueued", "jobsInProgress", "backlogPerReplica")
    queued, in_progress, each = (number(decision.inputs, name) for name in names)
    if queued is None or in_progress is None or not each:
        return checked("Jobs", formula, "how many wait was not known", 0.0, recorded)
    result = replicas_for_backlog(round(queued + in_progress), round(each))
    return checked("Jobs", formula, f"ceil(({said(queued)} + {said(in_progress)}) / {said(each)})", result, recorded)
