"""Alarms of target tracking where readings are missing."""

from dataclasses import replace

from llmendpoint.scaling.decision import Decision, Replicas
from llmendpoint.scaling.scaler import decide
from llmendpoint.scaling.signals import Signals
from llmendpoint.scaling.state import initial_state
from support.builders import NOW, scaling

REQUESTS = {"type": "RequestsPerReplicaPerMinute", "value": 60}
WAITING = {"type": "WaitingPerReplica", "value": 4}


def decisions(*ticks: Signals, targets: list[dict[str, object]], current: int = 4) -> list[Decision]:
    """What is decided every 10 s with 10-second points."""
    spec = scaling(policy="TargetTracking", evaluation="Fast", targets=targets, scaleIn={"cooldownSeconds": 0})
    state, found = initial_state(current, NOW), []
    for tick, signals in enumerate(ticks):
        counts = Replicas(ready=signals.ready, ordered=current)
        state, decision = decide(spec, state, signals, counts, NOW + 10.0 * tick)
        found.append(decision)
        state = replace(state, desired=current)
    return found


def load(per_second: float | None = 0.1, waiting: float = 0.0, known: int = 4) -> Signals:
    return Signals(known=known, unknown=4 - known, waiting=waiting, arrival_rate=per_second)


def test_a_target_without_readings_is_above_no_longer() -> None:
    stuck = decisions(*[load(20.0)] * 6, *[load(None)] * 20, targets=[REQUESTS, WAITING])
    assert stuck[5].desired > 4
    assert {decision.desired for decision in stuck[8:]} == {4}
    assert stuck[-1].terms["votes"][0]["pointsAbove"] == 0


def test_scale_in_needs_all_its_points_again_after_a_gap() -> None:
    nothing = load(known=0)
    found = decisions(*[load()] * 14, *[nothing] * 30, *[load()] * 20, targets=[REQUESTS])
    assert next(tick for tick, decision in enumerate(found) if decision.desired < 4) == 44 + 15


def test_a_stuck_queue_has_no_time_to_first_token_and_is_not_scaled_in() -> None:
    ttft = {"type": "TTFTP95Seconds", "value": 2}
    quick, stuck = Signals(4, 0, running=1, ttft_p95=0.1), Signals(4, 0, running=64, waiting=200)
    found = decisions(*[quick] * 14, *[stuck] * 30, targets=[ttft])
    assert {decision.desired for decision in found[14:]} == {4}
    idle = decisions(*[Signals(4, 0)] * 20, targets=[ttft])
    assert idle[-1].desired == 1


def test_a_target_that_has_no_value_just_now_holds_what_its_alarm_asks_for() -> None:
    ttft = {"type": "TTFTP95Seconds", "value": 2}
    quick, stuck = Signals(4, 0, running=1, ttft_p95=0.1), Signals(4, 0, running=64, waiting=200)
    last = decisions(*[quick] * 16, stuck, targets=[ttft])[-1]
    assert (last.raw, last.desired, last.held_by) == (1, 4, "PartialMetrics")
