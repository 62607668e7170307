"""The rules between what a policy wants and what is done, one at a time."""

import math
from dataclasses import replace
from typing import Any

import pytest

from llmendpoint.scaling import clamps
from llmendpoint.scaling.clamps import RULES, Effect, Situation
from llmendpoint.scaling.decision import Replicas, Room
from llmendpoint.scaling.schedules import limits
from llmendpoint.scaling.signals import Signals
from llmendpoint.scaling.state import initial_state
from support.builders import NOW, scaling

NO_SIGNALS = Signals(known=4, unknown=0)


def situation(spec: dict[str, Any] | None = None, signals: Signals = NO_SIGNALS, **state: Any) -> Situation:
    """Four replicas run, and nothing has happened for a long time."""
    remembered = replace(initial_state(4, NOW), **{"hold": (), **state})
    settings = scaling(**spec or {})
    return Situation(settings, remembered, signals, Replicas(4, ordered=4), NOW, limits(settings, NOW))


def after(effect: Effect | None, wanted: int) -> int:
    return effect.after if effect else wanted


def test_the_rules_are_in_this_order() -> None:
    assert [name for name, _ in RULES] == [
        "Bounds",
        "PartialMetrics",
        "UnknownBacklog",
        "Consolidation",
        "ScaleInDisabled",
        "HoldWindow",
        "ScaleOutCooldown",
        "ScaleInCooldown",
        "MaxStep",
        "Budget",
        "LastReplica",
        "Bounds",
    ]


@pytest.mark.parametrize(("wanted", "kept"), [(0, 2), (1, 2), (2, 2), (6, 6), (8, 8), (9, 8), (10**6, 8)])
def test_bounds_are_kept(wanted: int, kept: int) -> None:
    assert after(clamps.bounds(situation({"minReplicas": 2, "maxReplicas": 8}), wanted), wanted) == kept


def test_a_bound_that_a_schedule_sets_says_so() -> None:
    # NOW is a Sunday, 17:06 in Berlin.
    schedule = {"name": "office", "start": "0 8 * * *", "timeZone": "Europe/Berlin", "durationSeconds": 36000}
    at = situation(
        {"minReplicas": 2, "maxReplicas": 8, "schedules": [{**schedule, "minReplicas": 5, "maxReplicas": 6}]}
    )
    assert clamps.bounds(at, 4) == Effect(5, 'schedule "office" holds minReplicas 5 until 18:00', NOW + 3200)
    assert clamps.bounds(at, 7) == Effect(6, 'schedule "office" holds maxReplicas 6 until 18:00', NOW + 3200)
    assert clamps.bounds(at, 5) is None


@pytest.mark.parametrize(("unknown", "wanted", "kept"), [(1, 3, 4), (1, 4, 4), (1, 6, 6), (0, 3, 3)])
def test_less_than_all_readings_never_scale_in(unknown: int, wanted: int, kept: int) -> None:
    at = situation(signals=Signals(known=4 - unknown, unknown=unknown))
    effect = clamps.partial_metrics(at, wanted)
    assert after(effect, wanted) == kept
    assert effect is None or effect.detail == "1 of 4 serving replicas could not be read"


@pytest.mark.parametrize(
    ("occupancy", "wanted", "kept"),
    [
        (0.0, 1, 1),
        (0.85, 1, 1),  # one full replica
        (0.86, 1, 2),
        (2.0, 1, 3),
        (9.0, 1, 4),  # never more than there are: this rule only stops a scale-in
        (9.0, 4, 4),
        (9.0, 6, 6),
        (math.nan, 1, 1),
        (math.inf, 1, 4),
    ],
)
def test_requests_that_are_in_the_engines_keep_their_replicas(occupancy: float, wanted: int, kept: int) -> None:
    at = situation(signals=Signals(known=4, unknown=0, occupancy=occupancy))
    assert after(clamps.consolidation(at, wanted), wanted) == kept


@pytest.mark.parametrize(("wanted", "kept"), [(1, 4), (4, 4), (6, 6)])
def test_a_disabled_scale_in_removes_nothing(wanted: int, kept: int) -> None:
    at = situation({"scaleIn": {"disabled": True}})
    assert after(clamps.scale_in_disabled(at, wanted), wanted) == kept
    assert clamps.scale_in_disabled(situation(), wanted) is None


HOLD = ((NOW - 400, 4.0), (NOW - 200, 3.0), (NOW - 100, 2.0))


@pytest.mark.parametrize(
    ("seconds", "wanted", "kept", "until"),
    [
        (500, 1, 4, NOW + 100),
        (300, 1, 3, NOW + 100),
        (150, 1, 2, NOW + 50),
        (100, 1, 1, None),  # the last need is as old as the window
        (0, 1, 1, None),
        (300, 3, 3, None),  # what is wanted is what was needed
        (300, 5, 5, None),
    ],
)
def test_the_highest_need_of_the_window_is_kept(seconds: int, wanted: int, kept: int, until: float | None) -> None:
    effect = clamps.hold_window(situation({"scaleIn": {"holdSeconds": seconds}}, hold=HOLD), wanted)
    assert after(effect, wanted) == kept
    assert (effect.until if effect else None) == until


def test_a_need_above_what_runs_keeps_what_runs_until_the_last_such_need_is_old() -> None:
    hold = ((NOW - 200, 9.0), (NOW - 50, 4.0))
    effect = clamps.hold_window(situation({"scaleIn": {"holdSeconds": 300}}, hold=hold), 1)
    assert effect == Effect(4, "4 replicas were needed within the last 300 s", NOW + 250)


def test_only_the_demand_policy_has_a_hold_window() -> None:
    target = {"policy": "TargetTracking", "targets": [{"type": "WaitingPerReplica", "value": 1}]}
    assert clamps.hold_window(situation(target, hold=HOLD), 1) is None


@pytest.mark.parametrize(
    ("cold_starts", "seconds"),
    [((), 315.0), ((200.0,), 600.0), ((10.0,), 300.0), ((3000.0,), 900.0), ((100.0, 200.0, 900.0), 600.0)],
)
def test_the_window_is_three_times_the_cold_start_within_bounds(cold_starts: tuple[float, ...], seconds: float) -> None:
    state = replace(initial_state(4, NOW), cold_starts=cold_starts)
    assert clamps.hold_seconds(scaling(), state) == seconds
    assert clamps.hold_seconds(scaling(scaleIn={"holdSeconds": 7}), state) == 7.0


OUT = {"scaleOut": {"cooldownSeconds": 200}}


@pytest.mark.parametrize(
    ("done_ago", "wanted", "kept"),
    [
        (None, 5, 4),  # its replicas start still
        (None, 6, 6),  # a larger one than the last
        (None, 3, 4),
        (199, 5, 4),
        (199, 3, 4),
        (200, 5, 5),
        (200, 3, 3),
    ],
)
def test_after_a_scale_out_only_a_larger_count_may_act(done_ago: int | None, wanted: int, kept: int) -> None:
    done_at = None if done_ago is None else NOW - done_ago
    at = situation(OUT, scale_out_at=NOW - 300, scale_out_to=5, scale_out_done_at=done_at)
    effect = clamps.scale_out_cooldown(at, wanted)
    assert after(effect, wanted) == kept
    if effect and done_ago is None:
        assert effect.detail == "scale-out to 5: its replicas are not ready yet, then 200 s cooldown"
    elif effect:
        assert effect.detail == "scale-out to 5: done, now 200 s cooldown"
        assert effect.until == NOW + 1


def test_no_scale_out_is_no_cooldown() -> None:
    assert clamps.scale_out_cooldown(situation(OUT), 1) is None
    at = situation({"scaleOut": {"cooldownSeconds": 0}}, scale_out_at=NOW - 1, scale_out_to=4)
    assert clamps.scale_out_cooldown(at, 1) is None


@pytest.mark.parametrize(("ago", "wanted", "kept"), [(0, 3, 4), (59, 3, 4), (60, 3, 3), (0, 4, 4), (0, 9, 9)])
def test_after_a_scale_in_no_further_one_may_act(ago: int, wanted: int, kept: int) -> None:
    effect = clamps.scale_in_cooldown(situation(scale_in_at=NOW - ago), wanted)
    assert after(effect, wanted) == kept
    assert effect is None or effect.until == NOW - ago + 60


@pytest.mark.parametrize(("wanted", "kept"), [(9, 7), (7, 7), (5, 5), (4, 4), (3, 3), (1, 3)])
def test_a_step_is_limited_in_both_directions(wanted: int, kept: int) -> None:
    at = situation({"scaleOut": {"maxStep": 3}, "scaleIn": {"maxStep": 1}})
    assert after(clamps.max_step(at, wanted), wanted) == kept
    assert clamps.max_step(situation(), wanted) is None


@pytest.mark.parametrize(
    ("gpus", "most", "wanted", "kept"),
    [
        (2, 10, 5, 5),
        (2, 10, 6, 5),
        (2, 9, 9, 4),
        (2, 6, 4, 3),  # what runs is given up as well: the bound is in money
        (4, 3, 2, 0),  # and minReplicas have the last word
        (0, 3, 9, 9),  # no GPU, no bound
        (2, None, 9, 9),
    ],
)
def test_no_more_gpus_are_held_than_the_budget_allows(gpus: int, most: int | None, wanted: int, kept: int) -> None:
    at = situation({"maxGPUs": most})
    effect = clamps.budget(at._replace(replicas=Replicas(4, ordered=4, gpus=gpus)), wanted)
    assert after(effect, wanted) == kept
    assert effect is None or effect.detail == f"maxGPUs {most} is {kept} replicas of {gpus}"


@pytest.mark.parametrize(
    ("room", "wanted", "kept"),
    [(6, 9, 6), (6, 6, 6), (4, 9, 4), (2, 9, 4), (2, 4, 4), (2, 3, 3)],  # a quota stops growth and takes nothing away
)
def test_no_replica_is_ordered_that_a_quota_refuses(room: int, wanted: int, kept: int) -> None:
    at = situation()._replace(replicas=Replicas(4, ordered=4, gpus=1, room=Room(room, "the quota is full")))
    effect = clamps.budget(at, wanted)
    assert after(effect, wanted) == kept
    assert effect is None or effect.detail == "the quota is full"


def test_the_tighter_of_two_budgets_counts() -> None:
    replicas = Replicas(4, ordered=4, gpus=1, room=Room(6, "the quota is full"))
    for most, kept in ((5, 5), (7, 6)):
        assert after(clamps.budget(situation({"maxGPUs": most})._replace(replicas=replicas), 9), 9) == kept
