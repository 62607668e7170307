"""One decision as it is reported, and the settings that deserve a look."""

from dataclasses import replace
from typing import Any

import pytest

from llmendpoint.api.scaling import Scaling
from llmendpoint.scaling.decision import Decision, Outcome, Replicas
from llmendpoint.scaling.scaler import bounded, decide, warnings
from llmendpoint.scaling.signals import Signals
from llmendpoint.scaling.state import ScalerState, initial_state
from support.builders import NOW, model_of, scaling

# Of slots and cache in use, all that is known before anything is learned, so much per replica is planned.
FULL = 0.85
COLD_STARTS = (40.0, 50.0, 60.0)


def settled(desired: int = 2, **more: Any) -> ScalerState:
    """Nothing has happened for a long time."""
    return replace(initial_state(desired, NOW), mode="Active", hold=(), cold_starts=COLD_STARTS, **more)


def decided(state: ScalerState, need: float, *, starting: int = 0, **spec: Any) -> Decision:
    """The decision when so many replicas are needed."""
    ready = state.desired - starting
    signals = Signals(known=ready, unknown=0, occupancy=FULL * need)
    return decide(scaling(**spec), state, signals, Replicas(ready, starting, ordered=state.desired), NOW)[1]


@pytest.mark.parametrize(
    ("need", "desired", "outcome"),
    [(2.0, 2, Outcome.STEADY), (3.5, 4, Outcome.SCALE_OUT), (0.5, 1, Outcome.SCALE_IN)],
)
def test_an_outcome_is_what_was_done(need: float, desired: int, outcome: Outcome) -> None:
    made = decided(settled(), need)
    assert (made.current, made.raw, made.desired, made.reason) == (2, desired, desired, outcome)
    assert (made.clamps, made.held_by, made.held_until) == ((), None, None)


def test_a_wish_that_a_rule_stops_is_held_by_it_until_it_ends() -> None:
    made = decided(settled(scale_in_at=NOW - 10), 0.5)
    assert (made.desired, made.reason, made.raw) == (2, Outcome.HELD, 1)
    assert (made.held_by, made.held_until) == ("ScaleInCooldown", NOW + 50)
    assert "60 s cooldown since the last scale-in; stay at 2" in made.sentence


def test_a_wish_that_a_rule_cuts_is_held_by_it_as_well() -> None:
    made = decided(settled(), 9.0, maxReplicas=6, scaleOut={"maxStep": 3})
    assert (made.desired, made.reason, made.raw) == (5, Outcome.SCALE_OUT, 9)
    assert [(clamp.name, clamp.before, clamp.after) for clamp in made.clamps] == [("Bounds", 9, 6), ("MaxStep", 6, 5)]
    assert (made.held_by, made.held_until) == ("MaxStep", None)


def test_rules_that_undo_each_other_hold_nothing() -> None:
    """The step limit falls back to outside of bounds that were edited, and the last rule puts it right."""
    made = decided(settled(2), 5.0, minReplicas=5, scaleOut={"maxStep": 1})
    assert [clamp.name for clamp in made.clamps] == ["MaxStep", "Bounds"]
    assert (made.raw, made.desired, made.held_by) == (5, 5, None)


@pytest.mark.parametrize(
    ("starting", "need", "expected"),
    [
        (0, 2.0, None),  # nothing is ordered
        (0, 0.5, None),  # replicas go
        (0, 3.5, NOW + 50),
        (1, 3.5, NOW + 50),  # two more, beside the one that starts
    ],
)
def test_what_is_ordered_is_expected_after_a_usual_cold_start(
    starting: int, need: float, expected: float | None
) -> None:
    made = decided(settled(), need, starting=starting)
    assert made.expected_ready == expected
    assert ("ready in about 50 s" in made.sentence) == (expected is not None)


def test_what_comes_anyway_is_not_expected_once_more() -> None:
    """Replicas of a size that was given up start still when they are wanted again."""
    signals = Signals(known=2, unknown=0, occupancy=FULL * 3.5)
    made = decide(scaling(), settled(), signals, Replicas(ready=2, starting=2, ordered=2), NOW)[1]
    assert (made.desired, made.expected_ready) == (4, None)


# Warnings.


def warned(spec: Scaling, state: ScalerState, signals: Signals | None = None) -> list[str]:
    return warnings(spec, state, signals)


def test_usual_settings_are_not_warned_of() -> None:
    assert warned(scaling(), settled()) == []
    assert warned(scaling(scaleIn={"cooldownSeconds": 0}), initial_state(2, NOW)) == []  # no cold start is known yet


def test_a_scale_in_cooldown_shorter_than_a_cold_start_is_warned_of() -> None:
    state = settled()
    assert warned(scaling(scaleIn={"cooldownSeconds": 50}), state) == []
    assert warned(scaling(scaleIn={"cooldownSeconds": 49, "disabled": True}), state) == []
    (sentence,) = warned(scaling(scaleIn={"cooldownSeconds": 49}), state)
    assert sentence == (
        "scaleIn.cooldownSeconds 49 is shorter than a cold start (50 s): replicas may go that take longer to get "
        "back; raise it"
    )


def test_bounds_that_leave_no_room_are_warned_of() -> None:
    assert warned(scaling(minReplicas=3, maxReplicas=3), settled()) == [
        "minReplicas and maxReplicas are both 3: nothing can scale"
    ]


@pytest.mark.parametrize(("seconds", "is_warned"), [(599, False), (600, True), (86400, True)])
def test_a_bound_that_is_always_exceeded_is_warned_of(seconds: float, is_warned: bool) -> None:
    found = warned(scaling(maxReplicas=3), settled(at_max_since=NOW - seconds))
    assert found == (["more than maxReplicas 3 has been wanted for over 10 minutes: raise it"] if is_warned else [])


def test_wanting_too_much_is_timed_from_its_beginning_to_its_end() -> None:
    state, since = settled(), []
    for tick, need in enumerate([2.0, *[9.0] * 3, *[2.0] * 20]):
        signals, now = Signals(known=2, unknown=0, occupancy=FULL * need), NOW + 10.0 * tick
        state, _ = decide(scaling(maxReplicas=3), state, signals, Replicas(2, ordered=2), now)
        since.append(state.at_max_since)
    assert since[:4] == [None, NOW + 10, NOW + 10, NOW + 10]
    assert since[-1] is None


TRACKING = {"policy": "TargetTracking"}


@pytest.mark.parametrize(
    ("value", "slots", "is_warned"), [(256, 256, False), (257, 256, True), (257, 0, False), (8, 256, False)]
)
def test_a_concurrency_above_the_batch_is_warned_of(value: float, slots: int, is_warned: bool) -> None:
    spec = scaling(targets=[{"type": "ConcurrentRequestsPerReplica", "value": value}], **TRACKING)
    assert bool(warned(spec, settled(), Signals(known=1, unknown=0, slots=slots))) == is_warned
    assert warned(spec, settled(), None) == []


def test_a_rate_above_what_a_replica_can_finish_is_warned_of() -> None:
    spec = scaling(targets=[{"type": "RequestsPerReplicaPerMinute", "value": 61}], **TRACKING)
    seen = Signals(known=1, unknown=0, slots=256)
    assert warned(spec, settled(), seen) == []
    assert warned(spec, settled(model=model_of(0.9)), seen) == []
    (sentence,) = warned(spec, settled(model=model_of(1.0)), seen)
    assert sentence == (
        "target RequestsPerReplicaPerMinute 61 is above the 60 that a replica can finish, by what was learned of its "
        "requests: it is never reached; lower it"
    )


def test_a_budget_below_the_fewest_replicas_is_told() -> None:
    spec = scaling(minReplicas=3, maxGPUs=5)
    (told,) = warnings(spec, initial_state(3, NOW), None, gpus_per_replica=2)
    assert told == (
        "maxGPUs 5 is less than minReplicas 3 take with 2 GPUs each, and they come first: raise it or lower minReplicas"
    )
    assert not warnings(spec, initial_state(3, NOW), None, gpus_per_replica=1)


@pytest.mark.parametrize(
    ("desired", "bounds", "after", "outcome", "why"),
    [
        (1, {"minReplicas": 3, "maxReplicas": 6}, 3, Outcome.SCALE_OUT, "minReplicas is 3; scale out 1 -> 3"),
        (6, {"maxReplicas": 4}, 4, Outcome.SCALE_IN, "maxReplicas is 4; scale in 6 -> 4"),
    ],
)
def test_bounds_that_move_past_the_count_change_it_before_anything_is_read(
    desired: int, bounds: dict[str, Any], after: int, outcome: Outcome, why: str
) -> None:
    state, made = bounded(scaling(**bounds), settled(desired), Replicas(desired, ordered=desired), NOW)
    assert made is not None
    assert (made.current, made.raw, made.desired, made.reason) == (desired, desired, after, outcome)
    assert (made.held_by, state.desired) == ("Bounds", after)
    assert made.sentence.endswith(why)


def test_a_scale_out_by_bounds_has_its_cooldown_also_when_they_move_back() -> None:
    state, _ = bounded(scaling(minReplicas=3, maxReplicas=6), settled(1), Replicas(1, ordered=1), NOW)
    assert decided(state, 0.0, starting=2, scaleOut={"cooldownSeconds": 60}).held_by == "ScaleOutCooldown"


def test_bounds_that_the_count_is_within_change_nothing() -> None:
    state = settled(2)
    assert bounded(scaling(minReplicas=2, maxReplicas=2), state, Replicas(2, ordered=2), NOW) == (state, None)


def test_the_bounds_of_a_schedule_count_at_once() -> None:
    office = {"name": "office", "start": "* * * * *", "durationSeconds": 60, "minReplicas": 5}
    state, made = bounded(scaling(maxReplicas=6, schedules=[office]), settled(2), Replicas(2, ordered=2), NOW)
    assert state.desired == 5
    assert made is not None
    assert 'schedule "office" holds minReplicas 5 until' in made.sentence
