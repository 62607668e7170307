"""A decision redone from its record: every policy, by what the scaler itself wrote."""

import io
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from llmendpoint.api.endpoint import Endpoint
from llmendpoint.cli.explain_output import print_explanation
from llmendpoint.cli.explanation.explanation import Explanation, explain, no_decision
from llmendpoint.scaling.bursts import Bursts
from llmendpoint.scaling.correction import Correction
from llmendpoint.scaling.decision import Replicas
from llmendpoint.scaling.job_queue import Backlog, JobQueue
from llmendpoint.scaling.record import scaling_status
from llmendpoint.scaling.scaler import decide
from llmendpoint.scaling.signals import Queue, Signals
from llmendpoint.scaling.state import ScalerState, initial_state
from support.builders import NOW, endpoint, model_of, scaling

LEARNED: dict[str, Any] = {"model": model_of(0.5, prefill=0.2), "cold_starts": (100.0,)}
REQUESTS = {"type": "RequestsPerReplicaPerMinute", "value": 60}
TRACKING = {"policy": "TargetTracking", "targets": [REQUESTS], "evaluation": "Fast"}
STEP = {
    **TRACKING,
    "policy": "Step",
    "steps": [{"lowerBound": 0, "adjustment": 2}, {"upperBound": 0, "adjustment": -1}],
}


def decided(state: ScalerState, signals: Signals, ticks: int = 1, **spec: Any) -> Endpoint:
    """An endpoint with the status of the decision after some ticks of the same readings."""
    settings = scaling(**spec)
    for tick in range(ticks):
        now = NOW + 10.0 * tick
        state, decision = decide(settings, state, signals, Replicas(signals.ready, ordered=state.desired), now)
        status = scaling_status(state, decision, None, now)
    wire = {"observedGeneration": 1, "replicas": signals.ready, "scaling": status.to_wire()}
    return endpoint(status=wire, scaling={"maxReplicas": 10, **spec})


def explained(*arguments: Any, **spec: Any) -> Explanation:
    found = explain(decided(*arguments, **spec))
    assert found is not None
    return found


def state_of(desired: int = 4, **more: Any) -> ScalerState:
    return replace(initial_state(desired, NOW), **more)


def read(ready: int = 4, **numbers: Any) -> Signals:
    return Signals(ready, 0, **numbers)


def text_of(found: Explanation, width: int = 80) -> str:
    console = Console(width=width, markup=False, highlight=False, file=io.StringIO(), record=True)
    print_explanation(console, found, NOW + 60)
    return console.export_text()


def test_each_step_of_demand_has_its_formula_its_numbers_and_its_result() -> None:
    found = explained(state_of(**LEARNED), read(arrival_rate=7.0))
    steps = {step.name: (step.numbers, step.result) for step in found.sums}
    assert steps["Cost c of a request"] == ("0.2 s + 0.3 s", 0.5)
    assert steps["Demand now"] == ("7 req/s x 0.5 s", 3.5)
    assert steps["Longest wait T"] == ("2 s + 1.5 x 0.2 s", 2.3)
    numbers, result = steps["Staffing"]
    assert numbers == "3.5 / 2 + sqrt(3.5^2 / 4 + 2 x 3.5 x 0.5 x ln(1 / 0.01) / (2 x 2.3))"
    # What the words say, on a pocket calculator.
    assert result == pytest.approx(
        3.5 / 2 + math.sqrt(3.5**2 / 4 + 2 * 3.5 * 0.5 * math.log(100) / (2 * 2.3)), abs=1e-4
    )
    assert steps["Want"] == ("ceil(max(4.313 + 0, 0, 0))", 5)
    assert (found.policy, found.raw, found.disagreements) == ("Demand", 5, [])


@given(
    rate=st.none() | st.floats(0.0, 60.0), waiting=st.integers(0, 500), occupancy=st.floats(0.0, 8.0),
    factor=st.floats(0.75, 2.0), is_learned=st.booleans(), stuck=st.integers(0, 3), awaiting=st.booleans(),
    ready=st.integers(1, 5), bursty=st.booleans(),
)  # fmt: skip
def test_whatever_demand_decides_can_be_redone_from_the_record(
    rate: float | None, waiting: float, occupancy: float, factor: float, is_learned: bool, stuck: int, awaiting: bool,
    ready: int,
    bursty: bool,
) -> None:  # fmt: skip
    state = state_of(correction=Correction(factor), **(LEARNED if is_learned else {}))
    if bursty:
        state = replace(state, bursts=Bursts(peaks=(8.0, 30.0, 7.3), queued=100.0, late=20.0))
    if awaiting:
        state = replace(state, scale_out_at=NOW - 5, scale_out_to=6, desired=6)
    signals = read(
        ready,
        arrival_rate=rate,
        waiting=float(waiting),
        occupancy=occupancy,
        queues=(Queue(0.1, 40.0),) * min(stuck, ready),
    )
    found = explained(state, signals)
    assert found.disagreements == []
    assert len(found.sums) >= 3


@given(rate=st.floats(0.0, 20.0), ticks=st.integers(1, 25), policy=st.sampled_from([TRACKING, STEP]))
def test_whatever_an_alarm_decides_can_be_redone_from_the_record(
    rate: float, ticks: int, policy: dict[str, Any]
) -> None:
    found = explained(state_of(), read(arrival_rate=rate, occupancy=0.1), ticks, **policy)
    assert (found.policy, found.disagreements) == (policy["policy"], [])


def test_each_target_votes() -> None:
    found = explained(state_of(), read(arrival_rate=9.0), 4, **TRACKING)
    vote, want = found.sums
    assert (vote.numbers, vote.result) == ("ceil(540 req/min / 60)", 9)
    assert vote.note == "high alarm: above the target for 3 periods in a row (3 are needed)"
    assert (want.numbers, want.result) == ("a high alarm is on: max(9, 4)", 9)


def test_a_queue_that_grows_while_replicas_start_asks_for_no_more_than_is_ordered() -> None:
    waiting = {"policy": "TargetTracking", "targets": [{"type": "WaitingPerReplica", "value": 2}], "evaluation": "Fast"}
    state = state_of(6, scale_out_at=NOW - 5, scale_out_to=6)
    vote = explained(state, read(4, waiting=90.0, running=4.0), 2, **waiting).sums[0]
    assert (
        vote.numbers == "ceil(90 requests waiting / 2) = 45, no more than the 6 that are ordered while replicas start"
    )
    assert (vote.result, vote.agrees) == (6, True)


def test_a_step_says_its_band() -> None:
    found = explained(state_of(), read(arrival_rate=9.0), 5, **STEP)
    assert [step.numbers for step in found.sums] == [
        "540 / 4", "135 - 60", "ChangeInCapacity 2 of 4 serving = 6",
    ]  # fmt: skip


def test_the_rules_are_in_their_order_and_the_last_one_says_until_when() -> None:
    state = state_of(4, hold=((NOW - 100, 3.0),), **LEARNED)
    found = explained(state, read(arrival_rate=0.5), scaleIn={"cooldownSeconds": 0, "holdSeconds": 300})
    (rule,) = found.rules
    assert (rule.name, rule.before, rule.after) == ("HoldWindow", 1, 3)
    assert rule.until == "2025-06-15T15:10:00Z"
    assert "3 replicas were needed within the last 300 s; until 15:10:00 UTC, in 2 min 20 s" in " ".join(
        text_of(found, 120).split()
    )


def test_without_a_reading_there_is_no_sum() -> None:
    found = explained(state_of(), Signals(0, 4))
    assert (found.policy, found.sums) == (None, [])
    assert "no engine was read for it" in found.notes[0]


@pytest.mark.parametrize(
    ("part", "name", "value", "sentence"),
    [
        ("terms", "flowReplicas", 9.0, "Flow: max(4.313 x 1, 3.5) is 4.313, and 9 was recorded"),
        (
            "terms",
            "demandMean",
            2.0,
            "Demand D: max(3.5, 3.5 - 2 x sqrt(2 x 3.5 x 0.5 / 30)) is 3.5, and 2 was recorded",
        ),
        ("inputs", "arrivalRate", "many", None),
        ("terms", "flowReplicas", math.nan, "Flow: max(4.313 x 1, 3.5) is 4.313, and 0 was recorded"),
        ("inputs", "podsRead", None, None),
    ],
)
def test_a_record_that_was_edited_is_told_and_never_a_traceback(
    part: str, name: str, value: Any, sentence: str | None
) -> None:
    body = decided(state_of(**LEARNED), read(arrival_rate=7.0))
    assert body.status.scaling is not None
    assert body.status.scaling.decision is not None
    getattr(body.status.scaling.decision, part)[name] = value
    found = explain(body)
    assert found is not None
    assert sentence is None or sentence in found.disagreements
    assert ("The record does not agree with itself" in text_of(found)) is bool(found.disagreements)


def test_a_chain_of_rules_with_a_gap_is_told() -> None:
    body = decided(state_of(**LEARNED), read(arrival_rate=60.0))
    assert body.status.scaling is not None
    decision = body.status.scaling.decision
    assert decision is not None
    changed = decision.model_copy(update={"desired": 7, "raw": 30})
    status = body.status.model_copy(update={"scaling": body.status.scaling.model_copy(update={"decision": changed})})
    found = explain(body.model_copy(update={"status": status}))
    assert found is not None
    assert "the rules end at 10 replicas, and 7 were recorded" in found.disagreements


def test_the_record_of_an_older_operator_is_taken_where_it_can_not_be_redone() -> None:
    body = decided(state_of(**LEARNED), read(arrival_rate=7.0))
    assert body.status.scaling is not None
    assert body.status.scaling.decision is not None
    for name in ("demandSteady", "demandRecent", "shortWaitReplicas", "lostReplicas"):
        del body.status.scaling.decision.terms[name]
    found = explain(body)
    assert found is not None
    assert found.disagreements == []
    assert "taken as recorded" in text_of(found)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, "has no spec.scaling, so nothing is decided: spec.replicas counts"),
        ({"scaling": {"mode": "Off", "maxReplicas": 2}}, "has scaling.mode Off, so nothing is decided"),
        ({"scaling": {"maxReplicas": 2}}, "has no decision yet"),
    ],
)
def test_where_nothing_is_decided_it_says_why(spec: dict[str, Any], words: str) -> None:
    new = endpoint(**spec)
    assert explain(new) is None
    assert words in no_decision(new)


def test_a_dry_run_says_that_nothing_was_changed() -> None:
    found = explained(state_of(**LEARNED), read(arrival_rate=7.0), mode="DryRun")
    assert found.notes == ["mode DryRun: nothing was changed. 5 replicas would run; 4 do, by spec.replicas"]


@pytest.mark.parametrize("width", [80, 120])
def test_the_text_fits_and_ends_with_the_sentence(width: int) -> None:
    found = explained(state_of(**LEARNED), read(arrival_rate=7.0))
    text = text_of(found, width)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    assert "✓ Every number agrees with what the operator recorded." in words
    assert words.endswith(found.sentence)


JOBS = JobQueue(per_replica=32, longest_wait=300, backlog=Backlog(200, 20, 12.0))


@pytest.mark.parametrize("spec", [{}, TRACKING, STEP], ids=["demand", "tracking", "step"])
@pytest.mark.parametrize(
    ("jobs", "last"),
    [
        (JOBS, "max({}, 7, 0)"),
        (replace(JOBS, backlog=Backlog(5, 0, 301.0)), "max({}, 1, 5)"),
        (replace(JOBS, backlog=Backlog(0, 0, 0.0)), "max({}, 0, 0)"),
        (replace(JOBS, backlog=None), "max({}, 0, 0)"),
    ],
    ids=["many", "late", "none", "not known"],
)
def test_jobs_are_a_step_of_their_own_beside_every_policy(spec: dict[str, Any], jobs: JobQueue, last: str) -> None:
    found = explained(state_of(**LEARNED), read(arrival_rate=7.0, jobs=jobs), **spec)
    steps = {step.name: step for step in found.sums}
    asked = round(steps["Want"].result)
    assert steps["Want with jobs"].numbers == last.format(asked)
    assert steps["Want with jobs"].result == found.raw
    assert found.disagreements == []
    if jobs is JOBS:
        assert (steps["Jobs"].numbers, steps["Jobs"].result) == ("ceil((200 + 20) / 32)", 7)
        assert "jobs in work" in text_of(found)


def test_jobs_that_wake_an_endpoint_are_explained_without_a_policy() -> None:
    found = explained(state_of(0), read(0, jobs=JOBS), minReplicas=0)
    assert (found.policy, found.raw, found.disagreements, found.notes) == (None, 7, [], [])
    assert [step.name for step in found.sums] == ["Jobs", "Want with jobs"]
    assert "the scaler wants" in text_of(found)
