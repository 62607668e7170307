"""Dynamo's planner: thresholds of the load, and rates of an engine that is simple enough for mental arithmetic."""

import pytest

from llmendpoint.simulate.peers.dynamo_load import DynamoLoad, DynamoLoadSettings, decide
from llmendpoint.simulate.peers.dynamo_throughput import DynamoThroughput, DynamoThroughputSettings, engine_rate
from llmendpoint.simulate.peers.peer import Bounds
from llmendpoint.simulate.profiles import EngineProfile
from support.engines import engine
from support.trivial_fleet import KV_TOKENS, TrivialFleet


@pytest.mark.parametrize(
    ("usages", "workers"),
    [
        pytest.param([0.3, 1.01], 3, id="any above 100 %"),
        pytest.param([0.3, 1.0], 2, id="100 % is not above"),
        pytest.param([0.59, 0.1, 0.5], 2, id="all below 60 %"),
        pytest.param([0.6, 0.1, 0.1], 3, id="one at 60 %"),
        pytest.param([0.0], 1, id="the last one stays"),
    ],
)
def test_load_thresholds(usages: list[float], workers: int) -> None:
    assert decide(usages, DynamoLoadSettings()) == workers


def load_policy() -> DynamoLoad:
    return DynamoLoad(DynamoLoadSettings(), engine(kv_tokens=KV_TOKENS), Bounds(1, 64))


def test_load_adds_one_worker_per_start() -> None:
    fleet = TrivialFleet(load_policy(), lambda _: 8.0, ready=1, cold_start=300.0).run(1600)
    assert [fleet.ordered_at(at) for at in (200, 500, 900, 1200, 1500)] == [2, 3, 4, 5, 6]


def test_load_takes_workers_away_each_five_seconds() -> None:
    fleet = TrivialFleet(load_policy(), lambda _: 0.0, ready=8).run(60)
    assert fleet.sizes[:8] == [7, 6, 5, 4, 3, 2, 1, 1]


@pytest.mark.parametrize(
    ("profile", "isl", "osl", "rate"),
    [
        pytest.param(engine(), 100, 100, 32 / (100 * 0.02), id="32 sequences"),
        pytest.param(engine(kv_tokens=1500), 100, 100, 10 / (100 * 0.02), id="the cache holds 10 of 150 tokens"),
        pytest.param(engine(beta=0.01), 100, 100, 3 / (100 * 0.05), id="3 sequences take the 50 ms"),
        pytest.param(engine(alpha=0.1), 100, 100, 1 / (100 * 0.1), id="one is too slow: one"),
        pytest.param(
            engine(max_num_batched_tokens=4), 100, 100, 1 / (100 * 0.02), id="25 chunks of 20 ms are too late"
        ),
        pytest.param(engine(max_num_batched_tokens=10), 700, 100, 3 / (100 * 0.02), id="prefill keeps up with 3"),
        pytest.param(engine(), 0, 100, 0.0, id="no prompt"),
    ],
)
def test_rate_of_one_worker(profile: EngineProfile, isl: float, osl: float, rate: float) -> None:
    ttft = 0.5 if isl < 700 else 10.0
    assert engine_rate(profile, isl, osl, ttft=ttft, itl=0.05) == pytest.approx(rate)


def throughput_policy() -> DynamoThroughput:
    # 5 sequences of 100 tokens at 20 ms: 2.5 requests per second and worker.
    return DynamoThroughput(DynamoThroughputSettings(), engine(max_num_seqs=5), Bounds(1, 64))


def test_throughput_is_that_of_the_last_three_minutes() -> None:
    load = lambda time: 2.0 if time < 1800 else 12.0  # noqa: E731 - shorter than a function
    fleet = TrivialFleet(throughput_policy(), load, ready=4, slots=50).run(3600)
    assert fleet.ordered_at(1799) == 1
    assert fleet.ordered_at(1800 + 170) == 1
    assert fleet.ordered_at(1800 + 370) == 5  # 12 by 2.5


def test_throughput_without_traffic_changes_nothing() -> None:
    fleet = TrivialFleet(throughput_policy(), lambda _: 0.0, ready=4).run(3600)
    assert set(fleet.sizes) == {4}
