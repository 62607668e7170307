"""WVA: the numbers of its analysers' tests, and its HPA and loop around them."""

from itertools import pairwise

import pytest

from llmendpoint.simulate.peers.peer import Bounds
from llmendpoint.simulate.peers.wva import ReplicaLoad, Wva, WvaSettings
from llmendpoint.simulate.peers.wva_v1 import WvaV1, WvaV1Settings, analyze
from llmendpoint.simulate.peers.wva_v2 import WvaV2, WvaV2Settings, derived_capacity
from support.engines import engine
from support.trivial_fleet import KV_TOKENS, TrivialFleet


@pytest.mark.parametrize(
    ("loads", "scale_up"),
    [
        pytest.param([(0.75, 2), (0.76, 2)], True, id="low KV spare"),
        pytest.param([(0.5, 3), (0.5, 3)], True, id="low queue spare"),
        pytest.param([(0.5, 1), (0.5, 1)], False, id="healthy"),
        pytest.param([(0.85, 2), (0.5, 6), (0.9, 7)], True, id="all saturated"),
    ],
)
def test_v1_scale_up(loads: list[tuple[float, float]], scale_up: bool) -> None:
    assert analyze([ReplicaLoad(*load) for load in loads], WvaV1Settings()).scale_up is scale_up


@pytest.mark.parametrize(
    ("loads", "safe"),
    [
        pytest.param([(0.2, 1), (0.3, 1), (0.25, 1)], True, id="adequate headroom"),
        pytest.param([(0.7, 2), (0.75, 2)], False, id="insufficient headroom"),
        pytest.param([(0.5, 2)], False, id="only one non-saturated replica"),
        pytest.param([(0.85, 2), (0.5, 6), (0.9, 7)], False, id="all saturated"),
    ],
)
def test_v1_scale_down(loads: list[tuple[float, float]], safe: bool) -> None:
    assert analyze([ReplicaLoad(*load) for load in loads], WvaV1Settings()).scale_down_safe is safe


def v1(**settings: float) -> Wva:
    return Wva("wva-v1", WvaV1(WvaV1Settings()), WvaSettings(**settings), Bounds(1, 64))  # type: ignore[arg-type]


def test_v1_adds_one_replica_per_start_at_most() -> None:
    load = lambda time: 1.0 if time < 600 else 8.0  # noqa: E731 - shorter than a function
    fleet = TrivialFleet(v1(), load, cold_start=300.0).run(2400)
    changes = [at for (_, old), (at, new) in pairwise(fleet.orders) if at > 600 and new > old]
    assert all(later - earlier >= 300.0 for earlier, later in pairwise(changes))
    assert len(changes) >= 4


def test_v1_stands_still_at_eleven_behind_an_hpa_of_ten_percent() -> None:
    """One step above eleven is within the tolerance: what is desired never comes, and it waits for it."""
    stuck = TrivialFleet(v1(), lambda _: 14.0, ready=9, cold_start=15.0).run(3600)
    assert set(stuck.sizes[-60:]) == {11}
    free = TrivialFleet(v1(tolerance=0.0), lambda _: 14.0, ready=9, cold_start=15.0).run(3600)
    assert min(free.sizes[-60:]) > 14


@pytest.mark.parametrize(
    ("tokens", "seqs", "prompt", "output", "capacity"),
    [
        pytest.param(4096, 256, 500, 100, 140_800, id="from B, S, I and O"),
        pytest.param(8192, 64, 100, 200, 12_800, id="bounded by MaxNumSeqs"),
        pytest.param(8192, 256, 500, 0, 0, id="no output yet"),
    ],
)
def test_v2_capacity_from_the_engines_arguments(
    tokens: int, seqs: int, prompt: float, output: float, capacity: int
) -> None:
    assert derived_capacity(tokens, seqs, prompt, output) == capacity


@pytest.mark.parametrize(
    ("ready", "current", "demand", "replicas"),
    [
        pytest.param(1, 1, 10_000, 1, id="0.78 is between boundary and threshold"),
        pytest.param(2, 2, 2_000, 1, id="very low"),
        pytest.param(1, 1, 30_000, 3, id="35,294 by 12,800"),
        pytest.param(1, 3, 30_000, 3, id="pending replicas count on the way up"),
        pytest.param(1, 3, 1_000, 3, id="but not on the way down"),
    ],
)
def test_v2_replicas_by_demand(ready: int, current: int, demand: float, replicas: int) -> None:
    analyzer = WvaV2(WvaV2Settings(), engine(kv_tokens=16_000))
    assert analyzer.sized(ready, current, demand, 0.8 * 16_000) == replicas


def v2() -> Wva:
    return Wva("wva-v2", WvaV2(WvaV2Settings(), engine(kv_tokens=KV_TOKENS)), WvaSettings(), Bounds(1, 64))


def test_v2_settles_between_its_thresholds() -> None:
    fleet = TrivialFleet(v2(), lambda _: 4.0).run(3600)
    assert len(set(fleet.sizes[-60:])) == 1
    # 40 in flight fill 10 tokens' worth of slots each; memory holds 8 of them, and 0.70 to 0.85 of that is used.
    assert 40 / 8 / 0.85 <= fleet.sizes[-1] <= 40 / 8 / 0.7 + 1


def test_v2_orders_at_once_what_v1_adds_one_by_one() -> None:
    load = lambda time: 1.0 if time < 600 else 8.0  # noqa: E731 - shorter than a function
    both = [TrivialFleet(policy, load, cold_start=300.0).run(1000) for policy in (v1(), v2())]
    assert both[0].ordered_at(980) <= 4
    assert both[1].ordered_at(980) >= 8
