"""Target tracking on AWS: alarms, cooldowns and the documentation's example, then both metrics in a loop."""

import pytest

from llmendpoint.simulate.peers.peer import Bounds
from llmendpoint.simulate.peers.sagemaker import (
    TargetTracking,
    TrackingSettings,
    sagemaker,
    sagemaker_high_resolution,
)
from support.trivial_fleet import TrivialFleet

MINUTE = TrackingSettings(target=70.0, period=60.0)


def tracking(desired: int) -> TargetTracking:
    return TargetTracking(MINUTE, Bounds(1, 20), desired)


def steps(policy: TargetTracking, loads: list[float], *, begin: float = 0.0, in_service: int) -> list[int]:
    """Desired capacity, minute by minute."""
    return [policy.step(begin + 60.0 * i, load, in_service, in_service) for i, load in enumerate(loads)]


def test_three_points_above_scale_out_in_proportion() -> None:
    assert steps(tracking(2), [300.0] * 3, in_service=2) == [2, 2, 5]  # 300 / 70


def test_a_point_between_begins_the_alarm_anew() -> None:
    assert steps(tracking(2), [300.0, 300.0, 140.0, 300.0, 300.0], in_service=2) == [2] * 5


def test_fifteen_points_below_nine_tenths_scale_in() -> None:
    assert steps(tracking(4), [100.0] * 15, in_service=4) == [4] * 14 + [2]
    assert steps(tracking(4), [0.91 * 4 * 70.0] * 20, in_service=4) == [4] * 20


def test_no_scale_in_that_would_bring_the_metric_above_the_target() -> None:
    assert steps(tracking(2), [0.8 * 2 * 70.0] * 20, in_service=2) == [2] * 20


def test_capacity_that_was_added_counts_in_a_larger_scale_out() -> None:
    """The API reference's example: +2 is done, then +3 is asked for within the cooldown: only 1 is added."""
    policy = tracking(2)
    assert steps(policy, [4 * 70.0] * 3, in_service=2)[-1] == 4
    assert steps(policy, [4 * 70.0] * 2, begin=180.0, in_service=4)[-1] == 4
    assert steps(policy, [5 * 70.0] * 3, begin=300.0, in_service=4) == [4, 4, 5]


def test_the_scale_out_cooldown_begins_in_service_and_holds_scale_in() -> None:
    policy = tracking(1)
    assert steps(policy, [140.0] * 3, in_service=1)[-1] == 2
    assert policy.step(900.0, 10.0, 1, 1) == 2  # still starting
    assert steps(policy, [10.0] * 14, begin=960.0, in_service=2) == [2] * 13 + [1]
    late = tracking(1)
    steps(late, [140.0] * 3, in_service=1)
    steps(late, [10.0] * 20, begin=180.0, in_service=1)
    assert late.step(1500.0, 10.0, 2, 2) == 2  # in service now: 300 s from here
    assert late.step(1799.0, 10.0, 2, 2) == 2
    assert late.step(1800.0, 10.0, 2, 2) == 1


def test_the_scale_in_cooldown_holds_scale_in_only() -> None:
    policy = tracking(6)
    assert steps(policy, [5 * 60.0] * 15, in_service=6)[-1] == 5  # at 840 s
    assert steps(policy, [4 * 55.0] * 5, begin=900.0, in_service=5) == [5, 5, 5, 5, 4]
    assert steps(policy, [9 * 70.0] * 3, begin=1200.0, in_service=4) == [4, 4, 9]


def test_missing_data_do_not_scale_in() -> None:
    policy = tracking(4)
    steps(policy, [100.0] * 14, in_service=4)
    assert policy.miss() == 4
    assert steps(policy, [100.0] * 14, begin=1000.0, in_service=4) == [4] * 14


def test_invocations_are_answered_minutes_late_and_once() -> None:
    load = lambda time: 1.0 if time < 3600 else 4.0  # noqa: E731 - shorter than a function
    fleet = TrivialFleet(sagemaker(Bounds(1, 20), target=60.0), load).run(7200)
    out = next(at for at, replicas in fleet.orders if at > 3600 and replicas > 1)
    assert 3600 + 240 <= out <= 3600 + 360  # three points, and a metric that is a minute old
    assert max(fleet.sizes) == 4  # a backlog is no new arrival


def test_high_resolution_is_answered_within_a_minute_and_winds_up() -> None:
    load = lambda time: 1.0 if time < 3600 else 4.0  # noqa: E731 - shorter than a function
    fleet = TrivialFleet(sagemaker_high_resolution(Bounds(1, 20), target=10.0), load, cold_start=240.0).run(7200)
    out = next(at for at, replicas in fleet.orders if at > 3600 and replicas > 2)
    assert out <= 3660
    assert max(fleet.sizes) == 20  # the backlog is concurrency; 4 would do


@pytest.mark.parametrize("make", [sagemaker, sagemaker_high_resolution])
def test_both_scale_in_after_a_quarter_of_an_hour(make: type) -> None:
    fleet = TrivialFleet(make(Bounds(1, 20)), lambda _: 0.0, ready=4).run(3600)
    first = next(at for at, replicas in fleet.orders if replicas < 4)
    assert 900.0 <= first <= 1080.0
