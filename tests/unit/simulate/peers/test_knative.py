"""Knative's KPA: the numbers of autoscaler_test.go, its panic, and its windows in a loop."""

from dataclasses import replace

import pytest

from llmendpoint.simulate.peers.knative import Autoscaler, Knative, KnativeSettings
from llmendpoint.simulate.peers.peer import Bounds
from support.trivial_fleet import TrivialFleet

# newTestAutoscaler: target 10, rates of 10.
TEN = KnativeSettings(10.0, target_utilization=1.0, max_scale_up_rate=10.0, max_scale_down_rate=10.0)


@pytest.mark.parametrize(
    ("settings", "ready", "stable", "panic", "pods"),
    [
        pytest.param(TEN, 1, 50, 10, 5, id="StableModeIncreaseWithConcurrencyDefault"),
        pytest.param(TEN, 1, 50, 100, 10, id="PanicModeDoublePodCount"),
        pytest.param(TEN, 1, 1000, 1001, 10, id="RateLimitScaleUp from 1"),
        pytest.param(TEN, 10, 1000, 1001, 100, id="RateLimitScaleUp from 10"),
        pytest.param(replace(TEN, max_scale_down_rate=1.1), 100, 1, 1, 90, id="SmallScaleDownRate"),
        pytest.param(
            replace(TEN, container_concurrency_target=1.0, max_scale_up_rate=1.1), 2, 3, 1, 3, id="SmallScaleUpRate"
        ),
        pytest.param(KnativeSettings(10.0), 1, 100, 10, 15, id="100 in flight by 10 at 70 % are 15 pods"),
    ],
)
def test_pods_by_concurrency(settings: KnativeSettings, ready: int, stable: float, panic: float, pods: int) -> None:
    autoscaler = Autoscaler(settings, 0)
    assert autoscaler.scale(0.0, ready, stable, panic) == pods


def test_in_panic_it_only_grows_and_leaves_after_the_stable_window() -> None:
    """TestAutoscalerPanicThenUnPanicScaleDown."""
    autoscaler = Autoscaler(TEN, 1)
    assert autoscaler.scale(0.0, 1, 100, 100) == 10
    assert autoscaler.scale(0.0, 10, 100, 1000) == 100
    assert autoscaler.scale(30.0, 10, 1, 1) == 100
    assert autoscaler.scale(61.0, 10, 1, 1) == 1


def test_it_starts_in_panic_and_keeps_its_size() -> None:
    autoscaler = Autoscaler(KnativeSettings(), 8)
    assert autoscaler.scale(2.0, 8, 0.0, 0.0) == 8
    assert autoscaler.scale(62.0, 8, 0.0, 0.0) == 4
    assert not Autoscaler(KnativeSettings(), 1).panics


def test_a_burst_is_answered_within_seconds_and_the_panic_holds() -> None:
    def load(time: float) -> float:
        return 8.0 if 600 <= time < 660 else 0.5

    fleet = TrivialFleet(Knative(KnativeSettings(10.0), Bounds(1, 50)), load).run(1200)
    assert fleet.ordered_at(598) == 1
    assert fleet.ordered_at(615) > 1
    peak = max(fleet.sizes)
    assert fleet.ordered_at(700) == peak


def test_it_counts_the_backlog_of_a_cold_start() -> None:
    load = lambda time: 0.5 if time < 600 else 4.0  # noqa: E731 - shorter than a function
    quick = TrivialFleet(Knative(KnativeSettings(10.0), Bounds(1, 99)), load, cold_start=5.0).run(1800)
    slow = TrivialFleet(Knative(KnativeSettings(10.0), Bounds(1, 99)), load, cold_start=300.0).run(1800)
    assert max(slow.sizes) > 5 * max(quick.sizes)


def test_to_zero_it_takes_the_window_and_the_grace_period() -> None:
    fleet = TrivialFleet(Knative(KnativeSettings(), Bounds(0, 9)), lambda t: 0.5 if t < 300 else 0.0, ready=1).run(900)
    idle = next(state.time for state in fleet._history if state.time > 300 and state.in_flight < 1e-6)
    went = next(at for at, replicas in fleet.orders if replicas == 0)
    assert went <= idle + 60 + 30 + 4
    assert went >= 300 + 30


def test_from_zero_it_comes_back() -> None:
    fleet = TrivialFleet(Knative(KnativeSettings(), Bounds(0, 9)), lambda t: 0.5 if t > 60 else 0.0, ready=0).run(300)
    assert (fleet.ordered_at(58), fleet.ordered_at(80)) == (0, 1)
