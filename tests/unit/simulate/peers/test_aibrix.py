"""AIBrix: the numbers of apa_test.go and kpa_test.go, and what its parts come to together."""

import pytest

from llmendpoint.simulate.peers.aibrix import Aibrix, AibrixSettings, Cooldown, apa, kpa
from llmendpoint.simulate.peers.peer import Bounds
from support.trivial_fleet import TrivialFleet


@pytest.mark.parametrize(
    ("current", "usage", "up", "down", "replicas"),
    [
        pytest.param(2, 45.0, 2.0, 2.0, 3, id="basic_scale_up"),
        pytest.param(2, 35.0, 2.0, 2.0, 3, id="scale_up_upto_ceiling"),
        pytest.param(2, 90.0, 2.0, 2.0, 4, id="scale_up_upto_max_scale_up"),
        pytest.param(2, 90.0, 2.5, 2.0, 5, id="scale_up_upto_max_scale_up_ceiling"),
        pytest.param(6, 20.0, 2.0, 2.0, 4, id="basic_scale_down"),
        pytest.param(6, 18.0, 2.0, 2.0, 4, id="scale_down_upto_ceiling"),
        pytest.param(6, 10.0, 2.0, 2.0, 3, id="scale_down_upto_max_scale_down"),
        pytest.param(6, 5.0, 2.0, 2.5, 2, id="scale_down_upto_max_scale_down_floor"),
        pytest.param(2, 33.0, 2.0, 2.0, 2, id="no_scaling_as_within_up_tolerance"),
        pytest.param(2, 27.0, 2.0, 2.0, 2, id="no_scaling_as_within_down_tolerance"),
    ],
)
def test_apa(current: int, usage: float, up: float, down: float, replicas: int) -> None:
    settings = AibrixSettings(30.0, max_scale_up_rate=up, max_scale_down_rate=down)
    assert apa(settings, current, usage) == replicas


@pytest.mark.parametrize(
    ("current", "stable", "panic", "up", "replicas"),
    [
        pytest.param(2, 20.0, 20.0, 2.0, 2, id="stable_mode_basic_scaling"),
        pytest.param(1, 0.0, 0.0, 2.0, 0, id="scale_to_zero"),
        pytest.param(2, 100.0, 100.0, 1.5, 3, id="max_scale_up_rate_limit"),
        pytest.param(4, 5.0, 5.0, 2.0, 2, id="max_scale_down_rate_limit"),
        pytest.param(2, 15.0, 40.0, 2.0, 4, id="in panic the larger of both"),
        pytest.param(2, 30.0, 40.0, 2.0, 3, id="out of panic the stable one"),
    ],
)
def test_kpa(current: int, stable: float, panic: float, up: float, replicas: int) -> None:
    assert kpa(AibrixSettings(10.0, max_scale_up_rate=up), current, stable, panic) == replicas


def test_the_kpa_takes_a_mean_per_pod_for_a_total() -> None:
    """Eight pods, each a fifth above the target: it wants two and orders four."""
    assert kpa(AibrixSettings(0.5), 8, 0.6, 0.6) == 4


def test_the_cooldown_takes_the_smallest_recommendation() -> None:
    cooldown = Cooldown(AibrixSettings())
    assert cooldown.filter(0.0, 8, 3) == 3
    assert cooldown.filter(290.0, 8, 7) == 3  # a HorizontalPodAutoscaler would stay at 7
    assert cooldown.filter(300.0, 8, 7) == 7
    assert cooldown.filter(310.0, 8, 9) == 9


def test_the_apa_doubles_while_pods_start() -> None:
    fleet = TrivialFleet(Aibrix("APA", AibrixSettings(), Bounds(1, 64)), lambda _: 4.0, cold_start=300.0).run(300)
    assert max(fleet.sizes) == 64  # 8 would have half of their cache in use


def test_the_kpa_leaves_an_overloaded_service_at_two() -> None:
    fleet = TrivialFleet(Aibrix("KPA", AibrixSettings(), Bounds(1, 64)), lambda _: 8.0, ready=8).run(1800)
    assert set(fleet.sizes[-60:]) == {2}
    assert fleet._history[-1].in_flight > 1000


def test_no_answer_is_no_change() -> None:
    policy = Aibrix("APA", AibrixSettings(), Bounds(1, 64))
    fleet = TrivialFleet(policy, lambda _: 4.0, ready=6, metrics_are_out=lambda _: True).run(600)
    assert set(fleet.sizes) == {6}
