"""When cooldowns begin and end."""

from dataclasses import replace

import pytest

from llmendpoint.scaling.cooldown import scale_in_until, scale_out_until, scaled, settle
from llmendpoint.scaling.decision import Replicas
from llmendpoint.scaling.state import ScalerState, initial_state
from support.builders import NOW


def ordered(at: float = NOW - 100, to: int = 5, desired: int = 5) -> ScalerState:
    """A scale-out whose replicas are not there yet."""
    return replace(initial_state(desired, NOW), scale_out_at=at, scale_out_to=to)


@pytest.mark.parametrize(
    ("what", "state", "replicas", "is_done"),
    [
        ("some start still", ordered(), Replicas(ready=4, starting=1), False),
        ("all are ready", ordered(), Replicas(ready=5), True),
        (
            "no node takes one, for a short time",
            ordered(),
            Replicas(4, unschedulable=1, oldest_unschedulable_age=119.0),
            False,
        ),
        ("no node takes one, for long", ordered(), Replicas(4, unschedulable=1, oldest_unschedulable_age=120.0), True),
        (
            "no node takes one, and another starts",
            ordered(),
            Replicas(3, 1, unschedulable=1, oldest_unschedulable_age=120.0),
            False,
        ),
        ("the start-up time has run out", ordered(NOW - 900), Replicas(ready=1, starting=4), True),
        ("the start-up time is longer", ordered(NOW - 900), Replicas(1, 4, startup_timeout=1800.0), False),
        ("a later scale-in took one back", ordered(desired=3), Replicas(ready=3), True),
    ],
)
def test_a_scale_out_is_done_when_its_replicas_are_ready_or_given_up(
    what: str, state: ScalerState, replicas: Replicas, is_done: bool
) -> None:
    after = settle(state, replicas, NOW)
    assert after == (replace(state, scale_out_done_at=NOW) if is_done else state)
    assert after.awaiting == (not is_done)


def test_what_is_done_stays_done() -> None:
    state = replace(ordered(), scale_out_done_at=NOW - 50)
    assert settle(state, Replicas(ready=5), NOW) is state
    assert settle(initial_state(2, NOW), Replicas(ready=2), NOW).scale_out_done_at is None


@pytest.mark.parametrize(
    ("done_at", "cooldown", "until"),
    [
        (None, 200, NOW + 200),  # at the earliest
        (NOW - 50, 200, NOW + 150),
        (NOW - 200, 200, None),
        (NOW - 50, 0, None),
    ],
)
def test_the_scale_out_cooldown_runs_from_when_it_is_done(
    done_at: float | None, cooldown: float, until: float | None
) -> None:
    assert scale_out_until(replace(ordered(), scale_out_done_at=done_at), cooldown, NOW) == until


def test_the_scale_in_cooldown_runs_from_the_scale_in() -> None:
    state = replace(initial_state(2, NOW), scale_in_at=NOW - 50)
    assert scale_in_until(state, 200, NOW) == NOW + 150
    assert scale_in_until(state, 50, NOW) is None
    assert scale_in_until(initial_state(2, NOW), 200, NOW) is None


def test_a_scale_out_cancels_the_scale_in_cooldown_and_remembers_when_the_last_one_was() -> None:
    state = scaled(initial_state(4, NOW - 30), 3, NOW - 30)
    assert (state.desired, state.scale_in_at, state.last_scale_in_at) == (3, NOW - 30, NOW - 30)
    state = scaled(state, 6, NOW)
    assert (state.desired, state.scale_in_at, state.last_scale_in_at) == (6, None, NOW - 30)
    assert (state.scale_out_at, state.scale_out_to, state.awaiting) == (NOW, 6, True)


def test_a_larger_scale_out_begins_the_cooldown_again() -> None:
    state = replace(ordered(), scale_out_done_at=NOW - 10)
    assert scaled(state, 7, NOW).scale_out_done_at is None


def test_no_change_is_no_change() -> None:
    state = ordered()
    assert scaled(state, 5, NOW) is state
