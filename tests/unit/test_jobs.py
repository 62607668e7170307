"""Jobs of spec.async: what waits sizes the endpoint beside its policy, wakes it, and keeps it awake."""

from dataclasses import replace
from typing import Any

import pytest

from llmendpoint.scaling.decision import Decision, Outcome, Replicas
from llmendpoint.scaling.job_queue import Backlog, JobQueue
from llmendpoint.scaling.scaler import decide
from llmendpoint.scaling.signals import Signals
from llmendpoint.scaling.state import ScalerState, initial_state
from support.builders import NOW, scaling

IDLE = Signals(known=2, unknown=0, arrival_rate=0.0)
ZERO: dict[str, Any] = {"minReplicas": 0, "idleSeconds": 60, "scaleIn": {"cooldownSeconds": 0, "holdSeconds": 0}}


def queue(queued: int = 0, in_progress: int = 0, oldest: float = 0.0) -> JobQueue:
    return JobQueue(per_replica=32, longest_wait=300, backlog=Backlog(queued, in_progress, oldest))


UNKNOWN = JobQueue(per_replica=32, longest_wait=300)


def decided(
    jobs: JobQueue | None, state: ScalerState | None = None, signals: Signals = IDLE, **spec: Any
) -> tuple[ScalerState, Decision]:
    state = state or replace(initial_state(2, NOW), mode="Active")
    signals = replace(signals, jobs=jobs)
    return decide(scaling(**spec), state, signals, Replicas(signals.ready, ordered=state.desired), NOW)


def asleep(seconds: float = 3600) -> ScalerState:
    return replace(initial_state(0, NOW), mode="Active", active_at=NOW - seconds)


@pytest.mark.parametrize(("queued", "in_progress", "wanted"), [(64, 0, 2), (64, 1, 3), (0, 65, 3), (90, 70, 5)])
def test_there_is_a_replica_for_each_backlog_at_the_target(queued: int, in_progress: int, wanted: int) -> None:
    _, decision = decided(queue(queued, in_progress))
    assert decision.desired == wanted
    sum_ = f"jobs: {queued} waiting + {in_progress} in work / 32 (backlogPerReplica) -> {wanted}; want {wanted}"
    assert sum_ in decision.sentence
    assert decision.terms["jobReplicas"] == wanted
    assert (decision.inputs["jobsQueued"], decision.inputs["jobsInProgress"]) == (queued, in_progress)


def test_the_policy_still_counts_where_it_asks_for_more() -> None:
    busy = replace(IDLE, occupancy=3.4)
    _, decision = decided(queue(10), signals=replace(busy, arrival_rate=None))
    assert (decision.raw, decision.terms["policyReplicas"], decision.terms["jobReplicas"]) == (4, 4, 1)


def test_more_jobs_than_the_bounds_allow_are_no_reason_to_break_them() -> None:
    _, decision = decided(queue(100_000))
    assert (decision.desired, decision.held_by) == (10, "Bounds")


def test_a_job_that_waits_too_long_orders_one_replica_more() -> None:
    _, decision = decided(queue(10, oldest=301.0))
    assert decision.desired == 3
    assert "the oldest waits for 301 s of 300 s (oldestSeconds) -> 3" in decision.sentence
    assert decided(queue(10, oldest=299.0))[1].desired == 2


@pytest.mark.parametrize("done_at", [None, NOW - 20.0], ids=["they start", "they have just started"])
def test_the_next_one_is_ordered_after_the_last_ones_and_their_cooldown(done_at: float | None) -> None:
    spec: dict[str, Any] = {"scaleOut": {"cooldownSeconds": 30}}
    ordered = replace(initial_state(3, NOW), mode="Active", scale_out_at=NOW - 100, scale_out_to=3)
    late = queue(10, oldest=400.0)
    signals = replace(IDLE, known=2 if done_at is None else 3)
    assert decided(late, replace(ordered, scale_out_done_at=done_at), signals, **spec)[1].desired == 3
    assert decided(late, replace(ordered, scale_out_done_at=NOW - 40), signals, **spec)[1].desired == 4


def test_a_job_in_work_is_never_late() -> None:
    assert decided(queue(0, 5, oldest=4000.0))[1].raw == 1


def test_nothing_scales_in_while_the_backlog_is_not_known() -> None:
    spec: dict[str, Any] = {"scaleIn": {"cooldownSeconds": 0, "holdSeconds": 0}}
    _, decision = decided(UNKNOWN, **spec)
    assert (decision.desired, decision.held_by) == (2, "UnknownBacklog")
    assert "how many jobs wait is not known" in decision.sentence
    assert decided(queue(), **spec)[1].desired == 1


def test_jobs_order_replicas_while_none_can_be_read() -> None:
    for signals in (Signals(known=0, unknown=0), Signals(known=0, unknown=2)):
        _, decision = decided(queue(120), signals=signals)
        assert (decision.desired, decision.reason) == (4, Outcome.SCALE_OUT)


@pytest.mark.parametrize(("queued", "wanted"), [(1, 1), (32, 1), (33, 2)])
def test_jobs_wake_as_many_replicas_as_they_ask_for(queued: int, wanted: int) -> None:
    state, decision = decided(queue(queued), asleep(), Signals(known=0, unknown=0), **ZERO)
    assert (decision.desired, decision.reason, state.active_at) == (wanted, Outcome.SCALE_OUT, NOW)
    assert f"woken by jobs; jobs: {queued} waiting + 0 in work" in decision.sentence


def test_jobs_that_the_bounds_or_a_budget_keep_asleep_are_told_as_held() -> None:
    _, decision = decided(queue(5), asleep(), Signals(known=0, unknown=0), **ZERO, maxGPUs=1)
    assert decision.desired == 1
    counts = Replicas(0, ordered=0, gpus=2)
    signals = Signals(known=0, unknown=0, jobs=queue(5))
    held = decide(scaling(**ZERO, maxGPUs=1), asleep(), signals, counts, NOW)[1]
    assert (held.desired, held.reason, held.held_by) == (0, Outcome.HELD, "Budget")


@pytest.mark.parametrize("jobs", [queue(), UNKNOWN], ids=["no job", "not known"])
def test_an_endpoint_sleeps_on_where_no_job_is_known(jobs: JobQueue) -> None:
    _, decision = decided(jobs, asleep(), Signals(known=0, unknown=0), **ZERO)
    assert (decision.desired, decision.reason) == (0, Outcome.ASLEEP)


@pytest.mark.parametrize(
    ("jobs", "desired"),
    [(queue(), 0), (queue(1), 1), (queue(0, 1), 1), (UNKNOWN, 1), (None, 0)],
    ids=["no job", "one waits", "one is in work", "not known", "no queue"],
)
def test_the_last_replica_goes_when_the_queue_is_known_to_be_empty(jobs: JobQueue | None, desired: int) -> None:
    unused = replace(initial_state(1, NOW), mode="Active", active_at=NOW - 60)
    state, decision = decided(jobs, unused, replace(IDLE, known=1), **ZERO)
    assert decision.desired == desired
    assert (state.active_at == NOW) == (desired == 1)
