"""Target tracking with the alarms of AWS Application Auto Scaling."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from llmendpoint.api.scaling import Scaling, Target
from llmendpoint.scaling.decision import Desire, Unread
from llmendpoint.scaling.signals import Signals
from llmendpoint.scaling.state import ScalerState, initial_state
from llmendpoint.scaling.target_tracking import desire, total_of
from support.builders import NOW, scaling

TARGET = 10.0
IN_FLIGHT = {"type": "ConcurrentRequestsPerReplica", "value": TARGET}
INVOCATIONS = {"type": "RequestsPerReplicaPerMinute", "value": 5}
MINUTE, TICK = 60.0, 10.0


def tracking(*targets: dict[str, Any], evaluation: str = "Standard") -> Scaling:
    return scaling(policy="TargetTracking", targets=list(targets or [IN_FLIGHT]), evaluation=evaluation)


def load(per_replica: float | None, replicas: int = 4, **more: Any) -> Signals:
    """Requests in flight per replica; None is a tick at which nothing could be read."""
    if per_replica is None:
        return Signals(known=0, unknown=0)
    return Signals(**{"known": replicas, "unknown": 0, "running": per_replica * replicas} | more)


class Tracker:
    """The policy over time; a point is a whole evaluation period at one load."""

    def __init__(self, spec: Scaling, replicas: int = 4) -> None:
        self.spec, self.state, self.now = spec, initial_state(replicas, NOW), NOW
        self.wish: Desire = Unread(0, "")
        self.period = MINUTE if spec.evaluation == "Standard" else TICK

    def points(self, *signals: Signals) -> int:
        """The wish after these points: each is read from tick to tick, and closed by the tick that follows it."""
        for point in signals:
            for _ in range(round(self.period / TICK)):
                self.tick(point)
        self.tick(signals[-1], pass_on=False)
        return self.wish.raw

    def tick(self, signals: Signals, *, pass_on: bool = True) -> None:
        after, self.wish = desire(self.spec, self.state, signals, self.now)
        if pass_on:
            self.state, self.now = after, self.now + TICK


def wishes(spec: Scaling, loads: Sequence[float | None], replicas: int = 4) -> list[int]:
    """The wish after each point."""
    tracker = Tracker(spec, replicas)
    return [tracker.points(load(per_replica, replicas)) for per_replica in loads]


# High alarm.


def test_three_of_three_points_above_the_target_scale_out() -> None:
    assert wishes(tracking(), [15, 15, 15, 15]) == [4, 4, 6, 6]


@pytest.mark.parametrize("between", [10.0, 9.5, 0.0])
def test_one_point_that_is_not_above_begins_the_count_again(between: float) -> None:
    assert wishes(tracking(), [15, 15, between, 15, 15, 15]) == [4, 4, 4, 4, 4, 6]


def test_a_gap_in_the_data_begins_the_count_of_points_above_again() -> None:
    assert wishes(tracking(), [15, 15, None, 15, 15, 15]) == [4, 4, 4, 4, 4, 6]


# Low alarm.


def test_fifteen_of_fifteen_points_below_nine_tenths_scale_in() -> None:
    assert wishes(tracking(), [4] * 16) == [4] * 14 + [2, 2]


@pytest.mark.parametrize("between", [9.0, 9.5, 10.0, None])
def test_one_point_that_is_not_below_begins_the_other_count_again(between: float | None) -> None:
    seen = wishes(tracking(), [4] * 14 + [between] + [4] * 15)
    assert (seen[:29], seen[29]) == ([4] * 29, 2)


def test_between_the_alarms_nothing_happens() -> None:
    assert set(wishes(tracking(), [9.2] * 20)) == {4}


def test_scale_in_never_goes_below_what_the_target_needs() -> None:
    """8.9 per replica is below 9, and 3 replicas would be at 11.9, which is above the target."""
    assert set(wishes(tracking(), [8.9] * 20)) == {4}


# The arithmetic.


@pytest.mark.parametrize(
    ("per_minute", "replicas", "wanted"),
    [(6.1, 2, 3), (10, 1, 2), (12, 3, 8), (40, 6, 48), (5.0001, 4, 5)],
)
def test_as_many_replicas_as_bring_the_metric_to_its_target(per_minute: float, replicas: int, wanted: int) -> None:
    """The reference case: 5 invocations per replica and minute."""
    tracker = Tracker(tracking(INVOCATIONS), replicas)
    point = Signals(known=replicas, unknown=0, arrival_rate=per_minute * replicas / 60.0)
    assert tracker.points(point, point, point) == wanted


def test_noise_in_the_last_digit_does_not_order_a_replica() -> None:
    tracker = Tracker(tracking(INVOCATIONS), 3)
    point = Signals(known=3, unknown=0, arrival_rate=0.1 * 3)  # 18.000000000000004 a minute
    assert tracker.points(*[point] * 3) == 4


def test_replicas_that_start_are_part_of_the_answer() -> None:
    """The point is the total over those that serve, so that those that start are not ordered again."""
    tracker = Tracker(tracking(), 4)
    tracker.state = replace(tracker.state, desired=6)
    assert tracker.points(load(15), load(15), load(15)) == 6


def test_a_point_is_the_mean_of_its_readings() -> None:
    tracker = Tracker(tracking(), 4)
    for per_replica in (0, 30, 0, 30, 0, 30) * 3:
        tracker.tick(load(per_replica))
    tracker.tick(load(0))
    assert tracker.wish.raw == 6


def test_a_reading_counts_by_how_many_replicas_it_is_about() -> None:
    """20 on one replica and 5 on four are 40 in 5 replica-readings: 8 per replica, which is below 9."""
    tracker = Tracker(tracking(), 4)
    for signals in [load(20, 1), *[load(5)] * 5]:
        tracker.tick(signals)
    tracker.tick(load(5))
    assert (tracker.state.tracks[0].above, tracker.state.tracks[0].below) == (0, 1)


# Several targets.

KV = {"type": "KVCacheUtilization", "value": 0.8}


def both(in_flight: float, kv: float) -> Signals:
    return load(in_flight, kv_usage=kv * 4)


@pytest.mark.parametrize(
    ("in_flight", "kv", "wanted"),
    [
        (15, 0.7, 6),  # the first asks
        (10, 0.95, 5),  # the second asks
        (15, 0.95, 6),  # both ask: the larger wish
        (4, 0.95, 5),  # one would scale in: the other one decides
    ],
)
def test_any_of_several_targets_scales_out(in_flight: float, kv: float, wanted: int) -> None:
    assert Tracker(tracking(IN_FLIGHT, KV)).points(*[both(in_flight, kv)] * 3) == wanted


@pytest.mark.parametrize(
    ("in_flight", "kv", "wanted"),
    [
        (4, 0.35, 2),  # both agree: the larger of 2 and 2
        (4, 0.55, 3),  # both agree: the larger of 2 and 3
        (4, 0.75, 4),  # the second does not agree
        (9.5, 0.1, 4),  # the first does not agree
    ],
)
def test_only_all_of_several_targets_scale_in(in_flight: float, kv: float, wanted: int) -> None:
    assert Tracker(tracking(IN_FLIGHT, KV)).points(*[both(in_flight, kv)] * 15) == wanted


def test_a_target_without_a_value_does_not_agree_to_scale_in() -> None:
    assert Tracker(tracking(IN_FLIGHT, KV)).points(*[load(4)] * 16) == 4


# Evaluation.


def test_fast_evaluation_does_the_same_on_ten_second_points() -> None:
    fast = tracking(evaluation="Fast")
    assert wishes(fast, [15, 15, 15]) == [4, 4, 6]
    assert wishes(fast, [4] * 15) == [4] * 14 + [2]


def test_a_changed_target_starts_afresh() -> None:
    tracker = Tracker(tracking())
    assert tracker.points(load(15), load(15)) == 4
    tracker.spec = tracking({**IN_FLIGHT, "value": 9})
    assert tracker.points(load(15)) == 4
    assert tracker.points(load(15), load(15)) == 7


# While replicas start.

LAGGING = [
    ({"type": "WaitingPerReplica", "value": 2}, {"waiting": 40.0}),
    ({"type": "TTFTP95Seconds", "value": 1}, {"ttft_p95": 9.0}),
    (KV, {"kv_usage": 4.0}),
    (IN_FLIGHT, {"running": 40.0, "waiting": 40.0}),
]


def awaiting(state: ScalerState) -> ScalerState:
    return replace(state, scale_out_at=NOW - 5, scale_out_to=state.desired)


@pytest.mark.parametrize(("target", "numbers"), LAGGING, ids=[case[0]["type"] for case in LAGGING])
def test_what_grows_by_itself_orders_no_more_while_replicas_start(
    target: dict[str, Any], numbers: dict[str, float]
) -> None:
    point = Signals(**{"known": 4, "unknown": 0} | numbers)
    settled, starting = Tracker(tracking(target)), Tracker(tracking(target))
    starting.state = awaiting(starting.state)
    assert settled.points(*[point] * 3) > 4
    assert starting.points(*[point] * 3) == 4


@pytest.mark.parametrize(
    ("target", "point"),
    [
        (INVOCATIONS, Signals(known=4, unknown=0, arrival_rate=1.0)),
        (IN_FLIGHT, load(15)),
    ],
    ids=["requests", "in flight without a queue"],
)
def test_what_is_offered_may_order_more_while_replicas_start(target: dict[str, Any], point: Signals) -> None:
    tracker = Tracker(tracking(target))
    tracker.state = awaiting(tracker.state)
    assert tracker.points(*[point] * 3) > 4


# What each target reads.

SIGNALS = Signals(
    known=3, unknown=1, running=8.0, waiting=4.0, kv_usage=2.0, arrival_rate=0.5, ttft_p95=0.25, custom=(7.0, None)
)


@pytest.mark.parametrize(
    ("kind", "index", "total"),
    [
        ("RequestsPerReplicaPerMinute", 0, 30.0),
        ("ConcurrentRequestsPerReplica", 0, 12.0),
        ("WaitingPerReplica", 0, 4.0),
        ("KVCacheUtilization", 0, 2.0),
        ("TTFTP95Seconds", 0, 1.0),
        ("PromQL", 0, 28.0),
        ("PromQL", 1, None),
        ("PromQL", 2, None),
    ],
)
def test_a_metric_is_taken_as_a_total_over_replicas(kind: Any, index: int, total: float | None) -> None:
    query = {"query": "up"} if kind == "PromQL" else {}
    assert total_of(Target(type=kind, value=1, **query), index, SIGNALS) == total


@pytest.mark.parametrize(
    ("kind", "total"),
    [("RequestsPerReplicaPerMinute", None), ("KVCacheUtilization", None), ("TTFTP95Seconds", 0.0)],
)
def test_what_is_not_known_is_no_reading_and_no_first_token_is_a_reading_of_zero(
    kind: Any, total: float | None
) -> None:
    assert total_of(Target(type=kind, value=0.5), 0, Signals(known=1, unknown=0)) == total


# The sum in words.


@pytest.mark.parametrize(
    ("loads", "words"),
    [
        ([15], "60 requests in flight / target 10 -> 6 (above for 60 s)"),
        ([15] * 3, "60 requests in flight / target 10 -> 6 (above for 180 s)"),
        ([9.5], "38 requests in flight / target 10 -> 4 (near the target)"),
        ([4] * 2, "16 requests in flight / target 10 -> 2 (below for 120 of 900 s)"),
        ([4] * 20, "16 requests in flight / target 10 -> 2 (below for 900 of 900 s)"),
    ],
)
def test_the_sum_is_said_in_words(loads: list[float], words: str) -> None:
    tracker = Tracker(tracking())
    tracker.points(*[load(per_replica) for per_replica in loads])
    assert tracker.wish.why == f"ConcurrentRequestsPerReplica {words}"


def test_before_the_first_point_there_is_nothing_to_say() -> None:
    tracker = Tracker(tracking())
    tracker.tick(load(15))
    assert tracker.wish.raw == 4
    assert tracker.wish.why == "ConcurrentRequestsPerReplica no whole period yet / target 10 -> 4 (near the target)"


def test_the_numbers_are_given_with_it() -> None:
    tracker = Tracker(tracking(IN_FLIGHT, KV))
    tracker.points(both(15, 0.7))
    assert tracker.wish.inputs["targets"] == [
        {"type": "ConcurrentRequestsPerReplica", "total": 60.0, "target": 10.0},
        {"type": "KVCacheUtilization", "total": 2.8, "target": 0.8},
    ]
    assert [vote["pointsAbove"] for vote in tracker.wish.terms["votes"]] == [1, 0]
