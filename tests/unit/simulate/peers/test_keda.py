"""KEDA: an HPA by the total, and the way from and to zero."""

from llmendpoint.simulate.peers.keda import Keda, KedaSettings
from llmendpoint.simulate.peers.peer import Bounds
from support.trivial_fleet import TrivialFleet


def test_the_total_by_the_threshold_is_ordered_whatever_starts() -> None:
    fleet = TrivialFleet(Keda(KedaSettings(5.0), Bounds(1, 20)), lambda _: 2.0, cold_start=600.0).run(900)
    assert fleet.ordered_at(60) == 4  # the queue has not begun to grow: 2 replicas serve 2 req/s


def test_from_zero_one_replica_is_activated_at_the_next_poll() -> None:
    fleet = TrivialFleet(Keda(KedaSettings(), Bounds(0, 20)), lambda t: 0.1 if t > 100 else 0.0, ready=0).run(300)
    assert fleet.ordered_at(105) == 0
    assert fleet.ordered_at(165) >= 1


def test_to_zero_it_takes_the_cooldown_and_nothing_below_one_before() -> None:
    fleet = TrivialFleet(Keda(KedaSettings(5.0), Bounds(0, 20)), lambda t: 1.0 if t < 600 else 0.0).run(1500)
    last_request = next(state.time for state in fleet._history if state.time > 600 and round(state.in_flight) == 0)
    went = next(at for at, replicas in fleet.orders if replicas == 0)
    assert 300.0 <= went - last_request <= 345.0


def test_with_a_minimum_of_one_it_stays_at_one() -> None:
    fleet = TrivialFleet(Keda(KedaSettings(), Bounds(1, 20)), lambda _: 0.0).run(1800)
    assert fleet.ordered_at(1790) == 1


def test_a_step_within_the_tolerance_is_not_taken() -> None:
    fleet = TrivialFleet(Keda(KedaSettings(1.0), Bounds(1, 50)), lambda t: 2.0 if t < 1800 else 2.1, ready=20).run(3600)
    assert set(fleet.sizes[-60:]) == {20}  # 21 in flight by a threshold of 1
