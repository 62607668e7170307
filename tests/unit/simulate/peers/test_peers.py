"""What holds for every peer of the table."""

import math

import numpy as np
import pytest

from llmendpoint.simulate.peers import PEERS
from llmendpoint.simulate.peers.peer import Bounds, NotTold, Situation
from llmendpoint.simulate.policy import ScalingPolicy
from llmendpoint.simulate.traces import Trace
from support.engines import engine
from support.trivial_fleet import KV_TOKENS, TrivialFleet

NAMES = [
    "static", "hpa", "keda", "knative", "sagemaker", "sagemaker-hires", "kubeai", "aibrix-apa", "aibrix-kpa", "wva-v1",
    "wva-v2", "dynamo-load", "dynamo-throughput", "ray-serve", "clairvoyant",
]  # fmt: skip
ARRIVALS = np.sort(np.random.default_rng(5).uniform(0.0, 7200.0, 20_000))
TRACE = Trace(ARRIVALS, np.full(len(ARRIVALS), 100), np.full(len(ARRIVALS), 500), 7200.0)
SITUATION = Situation(Bounds(2, 9), engine(kv_tokens=KV_TOKENS), TRACE, cold_start=120.0)
EVERY_PEER = pytest.mark.parametrize("name", NAMES)


def waves(time: float) -> float:
    """Nothing, then much, twice an hour."""
    return max(12.0 * math.sin(time / 300.0), 0.0)


def at_end(name: str, target: float | None = None) -> TrivialFleet:
    return TrivialFleet(PEERS[name].policy(SITUATION, target), waves).run(3600)


def test_the_names_are_a_contract() -> None:
    assert list(PEERS) == NAMES


@EVERY_PEER
def test_a_policy_has_its_name_and_its_pipeline(name: str) -> None:
    policy: ScalingPolicy = PEERS[name].policy(SITUATION)
    assert policy.name == name
    assert policy.period > 0
    assert policy.metric_delay >= 0


@EVERY_PEER
@pytest.mark.parametrize("end", ["low", "high"])
def test_the_size_stays_within_the_bounds_at_both_ends_of_the_sweep(name: str, end: str) -> None:
    assert all(2 <= size <= 9 for size in at_end(name, getattr(PEERS[name].sweep, end)).sizes)


@EVERY_PEER
@pytest.mark.parametrize("ready", [1, 30])
def test_a_size_out_of_bounds_is_brought_back(name: str, ready: int) -> None:
    fleet = TrivialFleet(PEERS[name].policy(SITUATION), lambda _: ready * 0.5, ready=ready).run(3600)
    assert 2 <= fleet.sizes[-1] <= 9


@EVERY_PEER
def test_the_same_replay_gives_the_same_orders(name: str) -> None:
    assert at_end(name).orders == at_end(name).orders


@EVERY_PEER
def test_an_outage_of_metrics_is_survived_within_the_bounds(name: str) -> None:
    fleet = TrivialFleet(
        PEERS[name].policy(SITUATION), waves, metrics_are_out=lambda now: 1000 <= now < 2500 or now < 60
    ).run(5000)
    assert all(2 <= size <= 9 for size in fleet.sizes)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"clairvoyant"}))
def test_where_there_never_were_metrics_the_size_stays(name: str) -> None:
    fleet = TrivialFleet(PEERS[name].policy(SITUATION), waves, ready=6, metrics_are_out=lambda _: True).run(3600)
    assert set(fleet.sizes) == {6}


@EVERY_PEER
def test_the_default_lies_in_the_sweep(name: str) -> None:
    peer = PEERS[name]
    assert peer.sweep.low <= peer.default <= peer.sweep.high or name == "static"
    assert peer.source
    assert peer.default_source
    assert peer.target


@pytest.mark.parametrize("name", ["wva-v2", "dynamo-load", "dynamo-throughput", "clairvoyant"])
def test_what_a_peer_was_not_told_is_named(name: str) -> None:
    with pytest.raises(NotTold, match=rf"peer {name} .* give the situation"):
        PEERS[name].policy(Situation())


@pytest.mark.parametrize("name", ["hpa", "keda", "knative", "sagemaker", "sagemaker-hires", "kubeai", "ray-serve"])
def test_a_smaller_target_pays_for_more(name: str) -> None:
    wide = Situation(Bounds(1, 60), SITUATION.profile, TRACE)
    paid = [
        sum(fleet.ordered_at(at) for at in range(0, 3600, 60))
        for target in (4.0, 400.0)
        for fleet in [TrivialFleet(PEERS[name].policy(wide, target), waves, slots=100).run(3600)]
    ]
    assert paid[0] > 2 * paid[1]
