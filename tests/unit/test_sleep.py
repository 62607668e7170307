"""Zero replicas: the last one goes when nobody uses the endpoint, the first one comes when somebody does."""

from dataclasses import replace
from typing import Any

import pytest

from llmendpoint.scaling.decision import Decision, Outcome, Replicas
from llmendpoint.scaling.scaler import decide
from llmendpoint.scaling.signals import Signals
from llmendpoint.scaling.state import ScalerState, decode, encode, initial_state
from support.builders import NOW, scaling

ZERO: dict[str, Any] = {"minReplicas": 0, "idleSeconds": 60, "scaleIn": {"cooldownSeconds": 0}}
IDLE = Signals(known=1, unknown=0, arrival_rate=0.0)
NOBODY = Signals(known=0, unknown=0)
TARGETS = [{"type": "ConcurrentRequestsPerReplica", "value": 10}]
TRACKING = {"policy": "TargetTracking", "targets": TARGETS}


def unused(seconds: float, desired: int = 1) -> ScalerState:
    """Nobody has used it for so long, and its hold window knows of a need."""
    return replace(initial_state(desired, NOW), mode="Active", active_at=NOW - seconds)


def decided(state: ScalerState, signals: Signals, covered: bool = True, **spec: Any) -> tuple[ScalerState, Decision]:
    counts = Replicas(signals.ready, ordered=state.desired, is_covered=covered)
    return decide(scaling(**{**ZERO, **spec}), state, signals, counts, NOW)


@pytest.mark.parametrize("policy", [{}, TRACKING], ids=["demand", "tracking"])
def test_the_last_replica_goes_after_idle_seconds_whatever_the_policy_wants(policy: dict[str, Any]) -> None:
    _, decision = decided(unused(60), IDLE, **policy)
    assert (decision.desired, decision.reason) == (0, Outcome.SCALE_IN)
    assert "no request for 60 s (idleSeconds); want 0, have 1 + 0 starting; scale in 1 -> 0" in decision.sentence


def test_all_replicas_of_an_unused_endpoint_go_at_once() -> None:
    _, decision = decided(unused(60, desired=3), replace(IDLE, known=3))
    assert decision.desired == 0


def test_it_stays_until_then() -> None:
    _, decision = decided(unused(50), IDLE, scaleIn={"cooldownSeconds": 0, "holdSeconds": 0})
    assert (decision.desired, decision.held_by, decision.held_until) == (1, "LastReplica", NOW + 10)
    assert "the last replica goes after 60 s without a request" in decision.sentence


@pytest.mark.parametrize(
    ("what", "signals"),
    [
        ("a request runs", replace(IDLE, running=1.0)),
        ("a request waits", replace(IDLE, waiting=1.0)),
        ("one came and went", replace(IDLE, arrival_rate=0.1)),
        ("one waits at the activator", replace(IDLE, held=1)),
        ("a replica was not read", replace(IDLE, unknown=1)),
        ("there is no reading to compare with", replace(IDLE, arrival_rate=None)),
        ("no replica is ready yet", NOBODY),
    ],
)
def test_what_may_be_in_use_stays_and_counts_from_now(what: str, signals: Signals) -> None:
    state, decision = decided(unused(3600), signals)
    assert (decision.desired, state.active_at) == (1, NOW)


def test_it_stays_while_no_activator_would_hold_requests() -> None:
    _, decision = decided(unused(60), IDLE, covered=False)
    assert (decision.desired, decision.held_by) == (1, "LastReplica")
    assert "no activator is ready" in decision.sentence


@pytest.mark.parametrize("spec", [{"minReplicas": 1}, {"scaleIn": {"disabled": True}}])
def test_it_stays_where_it_has_to(spec: dict[str, Any]) -> None:
    assert decided(unused(3600), IDLE, **spec)[1].desired == 1


def test_nobody_wakes_an_endpoint_that_sleeps() -> None:
    _, decision = decided(unused(3600, desired=0), NOBODY)
    assert (decision.desired, decision.reason) == (0, Outcome.ASLEEP)
    assert "asleep: no request waits; want 0, have 0 + 0 starting; stay at 0" in decision.sentence


@pytest.mark.parametrize("held", [1, 1000])
def test_waiting_requests_wake_one_replica(held: int) -> None:
    state, decision = decided(replace(unused(3600, desired=0), cold_starts=(40.0,)), replace(NOBODY, held=held))
    assert (decision.desired, decision.reason, decision.inputs) == (1, Outcome.SCALE_OUT, {"held": held})
    assert f"woken by {held} waiting request" in decision.sentence
    assert "scale out 0 -> 1; ready in about 40 s" in decision.sentence
    assert state.active_at == NOW


def test_no_cooldown_makes_a_waiting_request_wait_longer() -> None:
    just_now = {"scale_out_at": NOW - 30, "scale_out_to": 1, "scale_out_done_at": NOW - 20, "scale_in_at": NOW - 1}
    state = replace(unused(60, desired=0), **just_now)
    assert decided(state, replace(NOBODY, held=1), scaleOut={"cooldownSeconds": 600})[1].desired == 1


def test_a_trial_wakes_by_the_requests_of_the_replicas_that_run() -> None:
    _, decision = decided(unused(3600, desired=0), replace(IDLE, running=2.0), mode="DryRun", **TRACKING)
    assert decision.desired == 1


def test_a_schedule_may_hold_zero_or_end_it() -> None:
    always = {"name": "always", "start": "* * * * *", "durationSeconds": 3600}
    asleep = [{**always, "minReplicas": 0}]
    assert decided(unused(3600), IDLE, minReplicas=1, schedules=asleep)[1].desired == 0
    assert decided(unused(3600, desired=0), NOBODY, schedules=[{**always, "minReplicas": 2}])[1].desired == 2


def test_a_restart_wakes_nobody_and_lets_nobody_sleep_early() -> None:
    asleep = decode(encode(unused(3600, desired=0)), 0, NOW + 500)
    assert decide(scaling(**ZERO), asleep, NOBODY, Replicas(0), NOW + 500)[1].desired == 0
    idle = decode(encode(unused(3600)), 1, NOW + 500)
    assert decide(scaling(**ZERO), idle, IDLE, Replicas(1), NOW + 500)[1].desired == 1
