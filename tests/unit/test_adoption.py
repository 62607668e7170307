"""A change of scaling.mode starts from what runs: somebody else may have sized it meanwhile."""

from dataclasses import replace

from llmendpoint.scaling.correction import Correction
from llmendpoint.scaling.scaler import adopted
from llmendpoint.scaling.state import Track, initial_state
from support.builders import NOW, model_of

STATE = replace(
    initial_state(1, NOW - 600),
    mode="Off",
    scale_in_at=NOW - 10,
    scale_out_at=NOW - 20,
    tracks=(Track("t", NOW - 60, above=3),),
    model=model_of(0.25),
    correction=Correction(factor=1.1),
    cold_starts=(50.0,),
)


def test_it_takes_the_count_that_runs_and_holds_it_as_needed() -> None:
    state = adopted(STATE, "Active", 6, NOW)
    assert (state.desired, state.mode, state.hold) == (6, "Active", ((NOW, 6.0),))


def test_cooldowns_and_alarms_begin_afresh_and_what_was_learned_is_kept() -> None:
    state = adopted(STATE, "Active", 6, NOW)
    assert (state.scale_in_at, state.scale_out_at, state.tracks) == (None, None, ())
    assert (state.model, state.correction, state.cold_starts) == (STATE.model, STATE.correction, (50.0,))


def test_the_same_mode_changes_nothing() -> None:
    assert adopted(STATE, "Off", 6, NOW) is STATE


def test_a_first_mode_keeps_the_state_that_was_just_made() -> None:
    fresh = initial_state(2, NOW)
    assert adopted(fresh, "Active", 9, NOW) == replace(fresh, mode="Active")
