"""The HPA: the numbers of replica_calculator_test.go and of the documentation, and a service that starts slowly."""

import pytest

from llmendpoint.simulate.peers.hpa import Hpa, HpaSettings, replicas_for_average_value, replicas_for_pods_metric
from llmendpoint.simulate.peers.peer import Bounds
from support.trivial_fleet import TrivialFleet


@pytest.mark.parametrize(
    ("values", "target", "current", "replicas"),
    [
        pytest.param([20, 10, 30], 15, 3, 4, id="TestReplicaCalcScaleUpCM"),
        pytest.param([50, 10, 30], 15, 3, 6, id="TestReplicaCalcScaleUpCMUnreadyHotCpuNoLessScale"),
        pytest.param([50, 15, 30], 15, 3, 7, id="TestReplicaCalcScaleUpCMUnreadyHotCpuScaleWouldScaleDown"),
        pytest.param([12] * 5, 20, 5, 3, id="TestReplicaCalcScaleDownCM"),
        pytest.param([0.2] * 3, 0.1, 3, 6, id="200m by 100m doubles"),
        pytest.param([0.05] * 4, 0.1, 4, 2, id="50m by 100m halves"),
        pytest.param([10.9] * 3, 10, 3, 3, id="within a tenth nothing happens"),
    ],
)
def test_pods_metric(values: list[float], target: float, current: int, replicas: int) -> None:
    assert replicas_for_pods_metric(values, missing=0, pending=0, current=current, target=target) == replicas


@pytest.mark.parametrize(
    ("values", "missing", "pending", "replicas"),
    [
        pytest.param([20, 20], 1, 0, 4, id="above the target a pod without metric has 0"),
        pytest.param([20, 20], 0, 1, 4, id="and so has a pending one"),
        pytest.param([20, 20], 3, 0, 5, id="the change of direction is not made"),
        pytest.param([2, 2], 2, 0, 3, id="below the target a pod without metric is at it"),
        pytest.param([2, 2], 0, 2, 1, id="and a pending one is left out"),
    ],
)
def test_pods_that_start(values: list[float], missing: int, pending: int, replicas: int) -> None:
    current = len(values) + missing + pending
    assert replicas_for_pods_metric(values, missing=missing, pending=pending, current=current, target=10) == replicas


def test_no_metric_is_no_recommendation() -> None:
    assert replicas_for_pods_metric([], missing=2, pending=1, current=3, target=10) is None


@pytest.mark.parametrize(
    ("total", "target", "current", "replicas"),
    [
        pytest.param(8600, 2150, 3, 4, id="TestReplicaCalcScaleUpPerPodCMExternal"),
        pytest.param(36 + 1, 4, 9, 9, id="one task more than nine pods take is within the tolerance"),
        pytest.param(40, 4, 9, 10, id="four more are not"),
    ],
)
def test_average_value_does_not_ask_the_pods(total: float, target: float, current: int, replicas: int) -> None:
    assert replicas_for_average_value(total, current=current, target=target) == replicas


def test_it_settles_where_the_mean_is_at_the_target() -> None:
    fleet = TrivialFleet(Hpa(HpaSettings(5.0), Bounds(1, 20)), lambda _: 2.0).run(3600)
    assert set(fleet.sizes[-40:]) == {4}  # 2 req/s for 10 s each


def test_a_queue_that_grows_during_starts_is_ordered_again_and_again() -> None:
    fleet = TrivialFleet(Hpa(HpaSettings(10.0), Bounds(1, 40)), lambda _: 6.0, cold_start=180.0).run(3600)
    assert max(fleet.sizes) >= 30  # 6 are enough
    assert fleet.ordered_at(3590) <= 7


def test_after_a_peak_it_holds_five_minutes() -> None:
    fleet = TrivialFleet(Hpa(HpaSettings(5.0), Bounds(1, 20)), lambda t: 4.0 if t < 1800 else 0.0).run(2400)
    assert (fleet.ordered_at(2070), fleet.ordered_at(2160)) == (8, 1)
