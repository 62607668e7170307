"""Ray Serve: the numbers of test_autoscaling_policy.py, and its delays in a loop."""

import pytest

from llmendpoint.simulate.peers.peer import Bounds
from llmendpoint.simulate.peers.ray_serve import RayServe, RayServeSettings
from support.trivial_fleet import TrivialFleet


@pytest.mark.parametrize(
    ("running", "ongoing", "target", "factor", "replicas"),
    [
        pytest.param(10, 20.0, 1.0, 1.0, 20, id="test_scale_up"),
        pytest.param(10, 5.0, 1.0, 1.0, 5, id="test_scale_down"),
        pytest.param(10, 80.0, 2.0, 0.5, 25, id="test_scaling_factor up"),
        pytest.param(10, 2.5, 2.0, 0.5, 6, id="test_scaling_factor down"),
        pytest.param(2, 0.6, 1.0, 0.5, 1, id="test_downscaling_with_fractional_scaling_factor 2"),
        pytest.param(5, 2.0, 1.0, 0.2, 4, id="test_downscaling_with_fractional_scaling_factor 5"),
        pytest.param(10, 4.0, 1.0, 0.1, 9, id="test_downscaling_with_fractional_scaling_factor 10"),
    ],
)
def test_desired(running: int, ongoing: float, target: float, factor: float, replicas: int) -> None:
    settings = RayServeSettings(target, upscaling_factor=factor, downscaling_factor=factor)
    assert RayServe(settings, Bounds()).desired(running, ongoing) == replicas


def test_more_takes_thirty_seconds_and_less_ten_minutes() -> None:
    def load(time: float) -> float:
        return 4.0 if 1200 <= time < 1800 else 1.0

    policy = RayServe(RayServeSettings(10.0), Bounds(1, 40))
    fleet = TrivialFleet(policy, load, ready=2, slots=1000).run(3600)
    more = next(at for at, replicas in fleet.orders if at > 1200 and replicas > fleet.ordered_at(1200))
    assert 1230 <= more <= 1260
    assert {fleet.ordered_at(at) for at in (1300, 1790, 1800 + 590)} == {4}
    assert fleet.ordered_at(1800 + 660) < 4


def test_the_last_but_one_replica_goes_before_the_last() -> None:
    fleet = TrivialFleet(RayServe(RayServeSettings(), Bounds(0, 40)), lambda _: 0.0, ready=5).run(1500)
    assert [size for i, size in enumerate(fleet.sizes) if i == 0 or fleet.sizes[i - 1] != size] == [5, 1, 0]


def test_from_zero_the_first_request_orders_one() -> None:
    policy = RayServe(RayServeSettings(), Bounds(0, 40))
    fleet = TrivialFleet(policy, lambda time: 0.2 if time > 60 else 0.0, ready=0).run(120)
    assert (fleet.ordered_at(60), fleet.ordered_at(80)) == (0, 1)
