"""KubeAI: the mean of ten minutes, and three decisions before less."""

import pytest

from llmendpoint.simulate.peers.kubeai import KubeAi, KubeAiSettings
from llmendpoint.simulate.peers.peer import Bounds
from support.trivial_fleet import TrivialFleet


@pytest.mark.parametrize(
    ("delay", "interval", "decisions"),
    [
        pytest.param(30.0, 10.0, 3, id="default"),
        pytest.param(10.0, 1.0, 10, id="even"),
        pytest.param(3.0, 2.0, 2, id="with-remainder"),
    ],
)
def test_required_consecutive_scale_downs(delay: float, interval: float, decisions: int) -> None:
    """As in internal/config's tests."""
    assert KubeAiSettings(scale_down_delay=delay, interval=interval).required_scale_downs == decisions


def test_the_mean_of_ten_minutes_by_the_target() -> None:
    fleet = TrivialFleet(KubeAi(KubeAiSettings(10.0), Bounds(1, 20)), lambda _: 3.0, ready=4).run(3600)
    assert set(fleet.sizes[-60:]) == {3}  # 30 in flight


def test_a_step_is_followed_as_the_mean_follows() -> None:
    load = lambda time: 1.0 if time < 1200 else 4.0  # noqa: E731 - shorter than a function
    fleet = TrivialFleet(KubeAi(KubeAiSettings(10.0), Bounds(1, 99)), load, cold_start=10.0, slots=1000).run(3600)
    four = next(at for at, replicas in fleet.orders if replicas >= 4)
    assert 1200 + 300 <= four <= 1200 + 610


def test_less_is_ordered_at_the_fourth_lower_decision_in_a_row() -> None:
    fleet = TrivialFleet(KubeAi(KubeAiSettings(100.0), Bounds(1, 20)), lambda _: 0.0, ready=3).run(60)
    assert fleet.sizes[:5] == [3, 3, 3, 1, 1]


def test_the_first_request_wakes_it() -> None:
    policy = KubeAi(KubeAiSettings(), Bounds(0, 20))
    fleet = TrivialFleet(policy, lambda time: 0.5 if time > 60 else 0.0, ready=0).run(120)
    assert (fleet.ordered_at(60), fleet.ordered_at(70)) == (0, 1)
