"""What status.scaling says, and when it is written anew."""

from dataclasses import replace
from typing import Any

import pytest

from llmendpoint.api.status import Clamp, ColdStart, ScalingStatus
from llmendpoint.scaling.decision import Outcome, Replicas, Unread
from llmendpoint.scaling.record import CHANGES_KEPT, NOISE_SECONDS, rfc3339, scaling_status
from llmendpoint.scaling.state import decode, initial_state
from support.builders import NOW, decision

STATE = replace(initial_state(2, NOW), mode="Active", cold_starts=(48.0,))


HELD = {"raw": 1, "held_by": "HoldWindow", "held_until": NOW + 300}


def first() -> ScalingStatus:
    return scaling_status(STATE, decision(NOW, 2), None, NOW)


def test_the_first_decision_is_written() -> None:
    status = first()
    assert status.desired_replicas == 2
    assert (status.last_scale_out_time, status.last_scale_in_time, status.history) == (None, None, [])
    assert status.cold_start_seconds == ColdStart(p50=48.0, p90=48.0, samples=1)
    assert status.decision is not None
    assert (status.decision.time, status.decision.sentence) == (
        "2025-06-15T15:06:40Z",
        "the sum; want 2, have 2 + 0 starting; stay at 2",
    )
    assert decode(status.state, 99, NOW) == STATE


def test_a_decision_holds_all_that_is_needed_to_redo_it() -> None:
    inputs, terms = {"running": 7.5, "kvUsage": None}, {"flowReplicas": 4.2, "capacityTokensPerSecond": None}
    step = Clamp(name="MaxStep", before=5, after=3, detail="scaleOut.maxStep is 1")
    made = decision(
        NOW,
        3,
        current=2,
        reason=Outcome.SCALE_OUT,
        desire=Unread(5, "the sum", inputs, terms),
        replicas=Replicas(2),
        clamps=(step,),
        holding=step,
        held_until=NOW + 60,
        expected_ready=NOW + 48,
    )
    record = scaling_status(STATE, made, None, NOW).decision
    assert record is not None
    assert record.to_wire() == {
        "time": "2025-06-15T15:06:40Z",
        "sentence": (
            "the sum; want 5, have 2 + 0 starting; scaleOut.maxStep is 1; scale out 2 -> 3; ready in about 48 s"
        ),
        "reason": "ScaleOut",
        "current": 2,
        "raw": 5,
        "desired": 3,
        "inputs": {"running": 7.5},
        "terms": {"flowReplicas": 4.2},
        "clamps": [{"name": "MaxStep", "before": 5, "after": 3, "detail": "scaleOut.maxStep is 1"}],
        "heldBy": "MaxStep",
        "heldUntil": "2025-06-15T15:07:40Z",
        "expectedReadyTime": "2025-06-15T15:07:28Z",
    }


def test_the_same_decision_again_is_not_written() -> None:
    status = first()
    for seconds in (10, 1000, 100_000):
        later = decision(NOW + seconds, 2, desire=Unread(2, "demand 1.9 now", {"running": 9}))
        state = replace(STATE, seen_at=NOW + seconds, demand=((NOW + seconds, 1.9),))
        assert scaling_status(state, later, status, NOW + seconds) is status


def test_a_change_is_written_at_once_and_goes_into_the_history() -> None:
    status = first()
    changed = replace(STATE, desired=4, scale_out_at=NOW + 10, scale_out_to=4)
    made = decision(NOW + 10, 4, current=2, reason=Outcome.SCALE_OUT)
    status = scaling_status(changed, made, status, NOW + 10)
    assert (status.desired_replicas, status.last_scale_out_time) == (4, "2025-06-15T15:06:50Z")
    assert [(change.from_replicas, change.to_replicas, change.sentence) for change in status.history] == [
        (2, 4, "the sum; want 4, have 4 + 0 starting; scale out 2 -> 4")
    ]


def test_the_last_ten_changes_are_kept_newest_first() -> None:
    status: ScalingStatus | None = None
    for count in range(1, CHANGES_KEPT + 4):
        status = scaling_status(
            replace(STATE, desired=count + 1), decision(NOW + count, count + 1, current=count), status, NOW
        )
    assert status is not None
    assert [change.to_replicas for change in status.history] == list(range(CHANGES_KEPT + 4, 4, -1))


def test_a_new_reason_is_written_when_the_last_one_has_been_there_for_a_while() -> None:
    status = first()
    soon, later = NOW + NOISE_SECONDS - 1, NOW + NOISE_SECONDS
    assert scaling_status(STATE, decision(soon, 2, **HELD), status, soon) is status
    held = scaling_status(STATE, decision(later, 2, **HELD), status, later)
    assert held.decision is not None
    assert (held.decision.held_by, held.history) == ("HoldWindow", [])
    other = decision(later + NOISE_SECONDS, 2, **{**HELD, "held_by": "ScaleInCooldown"})
    assert scaling_status(STATE, other, held, later + NOISE_SECONDS) is not held


@pytest.mark.parametrize("change", [Outcome.SCALE_OUT, Outcome.SCALE_IN])
def test_what_follows_a_change_is_written_at_once(change: Outcome) -> None:
    status = scaling_status(STATE, decision(NOW, 2, reason=change), None, NOW)
    assert scaling_status(STATE, decision(NOW + 1, 2, **HELD), status, NOW + 1) is not status


@pytest.mark.parametrize(
    "milestone",
    [
        {"mode": "DryRun"},
        {"scale_out_done_at": NOW + 5},
        {"scale_in_at": NOW + 5},
        {"unknown_since": NOW + 5},
        {"cold_starts": (48.0, 50.0)},
    ],
)
def test_what_a_restart_must_not_forget_is_written_at_once(milestone: dict[str, Any]) -> None:
    status = scaling_status(replace(STATE, **milestone), decision(NOW + 10, 2), first(), NOW + 10)
    assert status.decision is not None
    assert status.decision.time == "2025-06-15T15:06:50Z"


def test_a_memory_that_can_not_be_read_is_written_anew() -> None:
    broken = first().model_copy(update={"state": {"desired": "by hand"}})
    written = scaling_status(STATE, decision(NOW + 10, 2), broken, NOW + 10)
    assert decode(written.state, 99, NOW + 10) == STATE


def test_a_count_that_somebody_wrote_into_the_status_is_put_right() -> None:
    edited = first().model_copy(update={"desired_replicas": 9})
    assert scaling_status(STATE, decision(NOW + 10, 2), edited, NOW + 10).desired_replicas == 2


def test_a_status_without_a_decision_gets_one() -> None:
    empty = first().model_copy(update={"decision": None})
    assert scaling_status(STATE, decision(NOW + 10, 2), empty, NOW + 10).decision is not None


def test_a_time_is_written_as_the_api_server_does() -> None:
    assert rfc3339(0.999) == "1970-01-01T00:00:00Z"
