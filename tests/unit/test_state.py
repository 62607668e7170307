"""What the scaler remembers over a restart, and what a clock that was set back does to it."""

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmendpoint.scaling.bursts import Bursts
from llmendpoint.scaling.cooldown import scale_in_until, scale_out_until
from llmendpoint.scaling.correction import Correction
from llmendpoint.scaling.engine_model import EngineModel
from llmendpoint.scaling.state import ScalerState, Track, decode, encode, initial_state
from support import strategies as some
from support.builders import NOW, model_of

FULL = ScalerState(
    desired=4,
    seen_at=NOW,
    mode="Active",
    scale_out_at=NOW - 90,
    scale_out_to=4,
    scale_out_done_at=NOW - 60,
    scale_in_at=NOW - 40,
    last_scale_in_at=NOW - 40,
    active_at=NOW - 30,
    unknown_since=NOW - 20,
    at_max_since=NOW - 700,
    hold=((NOW - 100, 5.0), (NOW, 4.0)),
    demand=((NOW - 10, 3.5),),
    model=model_of(0.25),
    correction=Correction(factor=1.1),
    bursts=Bursts(peaks=(8.0,), queued=9.0),
    revision="7d4b9c",
    tracks=(Track("WaitingPerReplica:4:", NOW - 30, total=8.0, replicas=2.0, readings=2, above=1, last=4.0),),
    cold_starts=(48.0, 61.0),
    reported=(("HoldWindow", 3),),
)
TIMES = (
    "scale_out_at", "scale_out_done_at", "scale_in_at", "last_scale_in_at", "active_at", "unknown_since",
    "at_max_since",
)  # fmt: skip


def test_the_state_of_this_test_has_no_default_in_it() -> None:
    assert [entry.name for entry in fields(ScalerState) if getattr(FULL, entry.name) == entry.default] == []


@given(some.states())
def test_a_state_survives_a_restart(state: ScalerState) -> None:
    assert decode(json.loads(json.dumps(encode(state))), 99, state.seen_at) == state


def test_a_full_state_is_written_in_the_names_of_the_api() -> None:
    written = encode(FULL)
    assert decode(json.loads(json.dumps(written)), 99, NOW) == FULL
    assert {"seenAt", "scaleOutDoneAt", "model", "coldStarts"} <= written.keys()
    assert written["tracks"][0]["periodStart"] == NOW - 30


def test_what_says_nothing_is_not_written() -> None:
    assert encode(initial_state(2, NOW)) == {"desired": 2, "seenAt": NOW, "activeAt": NOW, "hold": [[NOW, 2.0]]}


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"desired": 3},
        {"desired": "many", "seenAt": NOW},
        {"desired": -1, "seenAt": NOW},
        {"desired": 3, "seenAt": "nan"},
        {"desired": 3, "seenAt": NOW, "hold": [[NOW, "inf"]]},
        {"desired": 3, "seenAt": NOW, "demand": [["nan", 1.0]]},
        {"desired": 3, "seenAt": NOW, "scaleInAt": "nan"},
        {"desired": 3, "seenAt": NOW, "scaleOutAt": 1e300},
        {"desired": 3, "seenAt": NOW, "lastScaleInAt": -1e300},
        {"desired": 3, "seenAt": NOW, "correction": {"factor": "inf"}},
        {"desired": 3, "seenAt": NOW, "correction": {"factor": 100.0}},
        {"desired": 3, "seenAt": NOW, "model": {"stepTime": {"gram": [1.0]}}},
        {"desired": 3, "seenAt": NOW, "model": {"kvUsage": -1.0}},
        {"desired": 3, "seenAt": NOW, "hold": [[NOW]]},
        {"desired": 3, "seenAt": NOW, "tracks": "none"},
    ],
)
def test_what_can_not_be_read_is_replaced_by_a_safe_start(data: dict[str, Any]) -> None:
    assert decode(data, 5, NOW) == initial_state(5, NOW)


def test_a_field_of_another_version_is_ignored() -> None:
    assert decode({**encode(FULL), "forecast": [1, 2, 3]}, 99, NOW) == FULL


@pytest.mark.parametrize(("age", "is_old"), [(30.0, False), (30.1, True), (86400.0, True)])
def test_an_old_record_counts_its_size_as_needed_now(age: float, is_old: bool) -> None:
    """What was needed since is not known: the window holds the size, and any larger need that it remembers."""
    known = decode(encode(FULL), 99, NOW + age)
    afresh = replace(FULL, hold=((NOW - 100, 5.0), (NOW + age, 4.0)), active_at=NOW + age, tracks=())
    assert known == (afresh if is_old else FULL)


def test_a_new_endpoint_is_held_at_its_size_at_first() -> None:
    assert initial_state(3, NOW).hold == ((NOW, 3.0),)


# The clock.


def test_a_clock_that_goes_on_moves_nothing() -> None:
    assert FULL.at(NOW + 10) == FULL


@given(st.floats(0.1, 1e7))
def test_a_clock_that_is_set_back_takes_every_time_with_it(seconds: float) -> None:
    now = NOW - seconds
    moved = FULL.at(now)
    ages = {name: NOW - getattr(FULL, name) for name in TIMES}
    assert {name: now - getattr(moved, name) for name in TIMES} == pytest.approx(ages, abs=1e-3)
    assert [now - at for at, _ in moved.hold] == pytest.approx([100, 0], abs=1e-3)
    assert [now - at for at, _ in moved.demand] == pytest.approx([10], abs=1e-3)
    assert now - moved.tracks[0].period_start == pytest.approx(30, abs=1e-3)
    assert (moved.desired, moved.model, moved.cold_starts) == (4, FULL.model, (48.0, 61.0))


def test_a_clock_that_is_set_back_makes_no_cooldown_longer() -> None:
    moved = FULL.at(NOW - 3600)
    assert scale_in_until(moved, 60, NOW - 3600) == NOW - 3600 + 20
    assert scale_out_until(moved, 200, NOW - 3600) == NOW - 3600 + 140


def test_times_that_never_were_stay_unknown() -> None:
    moved = replace(initial_state(2, NOW), active_at=None).at(NOW - 60)
    assert [getattr(moved, name) for name in TIMES] == [None] * len(TIMES)


# What must be written at once.


@pytest.mark.parametrize(
    "change",
    [
        {"desired": 5},
        {"mode": "DryRun"},
        {"scale_out_at": NOW},
        {"scale_out_done_at": NOW},
        {"scale_in_at": None},
        {"unknown_since": None},
        {"cold_starts": (48.0, 61.0, 50.0)},
        {"reported": (("HoldWindow", 3), ("HoldWindow", 2))},
    ],
)
def test_a_milestone_is_news(change: dict[str, Any]) -> None:
    assert replace(FULL, **change).milestones != FULL.milestones


@pytest.mark.parametrize(
    "change", [{"seen_at": NOW + 10}, {"hold": ()}, {"demand": ()}, {"model": EngineModel()}, {"unknown_since": NOW}]
)
def test_what_changes_at_each_tick_is_not(change: dict[str, Any]) -> None:
    assert replace(FULL, **change).milestones == FULL.milestones


def test_the_model_is_doubted_once_other_replicas_serve_alone() -> None:
    first = replace(FULL, revision="").served_by("7d4b9c")
    assert (first.revision, first.model) == ("7d4b9c", FULL.model), "nothing says that it was learned on others"
    assert first.served_by("7d4b9c") is first
    assert first.served_by("") is first, "a roll-out, or nobody serves"
    other = first.served_by("58fd6c")
    assert other == replace(FULL, revision="58fd6c", model=FULL.model.doubted())
    assert other.served_by("58fd6c") is other
    assert first.served_by("x" * 64) is first, "no name of a revision, and more than a status takes back"
