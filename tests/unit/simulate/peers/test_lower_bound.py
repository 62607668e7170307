"""The bound: by hand, and below what policies pay for a whole replay on the real engine model."""

import numpy as np
import pytest

from llmendpoint.simulate.engines import Engines
from llmendpoint.simulate.peers import PEERS
from llmendpoint.simulate.peers.lower_bound import lower_bound
from llmendpoint.simulate.peers.peer import Bounds, Situation
from llmendpoint.simulate.peers.work import Work, least_work
from llmendpoint.simulate.profiles import load_profile
from llmendpoint.simulate.replay import Scenario, replay
from llmendpoint.simulate.traces import Trace, load_trace
from support.engines import engine


@pytest.mark.parametrize(
    ("arrivals", "work", "least", "missed", "bound"),
    [
        pytest.param([0.0, 10.0], [30.0, 40.0], 0, 0.0, 70.0, id="without a minimum: all work"),
        pytest.param([0.0, 10.0], [30.0, 40.0], 1, 0.0, 100.0, id="the minimum has time for it"),
        pytest.param([0.0, 80.0], [30.0, 40.0], 1, 0.0, 120.0, id="it comes too late for the minimum"),
        pytest.param([0.0, 80.0], [30.0, 40.0], 1, 0.5, 100.0, id="half may be missed"),
        pytest.param([], [], 2, 0.0, 200.0, id="no request"),
    ],
)
def test_lower_bound(arrivals: list[float], work: list[float], least: int, missed: float, bound: float) -> None:
    of = Work(np.array(arrivals), np.array(work))
    assert lower_bound(of, 100.0, least=least, missed=missed) == pytest.approx(bound)


def least(prompt: list[int], output: list[int], **constants: float) -> list[float]:
    trace = Trace(np.zeros(len(prompt)), np.array(prompt), np.array(output), 0.0)
    return least_work(trace, engine(**constants)).seconds.tolist()


def test_alpha_is_shared_by_what_is_scarcest() -> None:
    by_slots = least([100, 100], [101, 1], max_num_seqs=10)
    assert by_slots == pytest.approx([101 * 0.02 / 10, 0.02 / 10])
    by_memory = least([100, 100], [101, 1], kv_tokens=1600, max_num_seqs=1000)
    assert by_memory == pytest.approx([(100 * 100 + 100 * 99 / 2) * 0.02 / 1600, 0.0])
    by_tokens = least([4000], [1], max_num_seqs=1000)
    assert by_tokens == pytest.approx([4000 * 0.02 / 2048])


def test_beta_gamma_and_kappa_are_everyones_own() -> None:
    own = least([100, 100], [101, 1], alpha=0.0, beta=1e-3, gamma=1e-4, kappa=1e-6)
    assert own == pytest.approx([101e-3 + 100e-4 + 14_950e-6, 1e-3 + 100e-4])


def test_what_does_not_fit_the_cache_costs_nothing() -> None:
    refused, cut = least([1601, 1500], [10, 1000], alpha=0.0, beta=1e-3, kv_tokens=1600)
    assert (refused, cut) == (0.0, pytest.approx(101e-3))


@pytest.mark.parametrize(("prompt", "output"), [(300, 300), (3000, 20), (100, 1000)])
@pytest.mark.parametrize("profile", ["a10g-llama-8b", "h100-llama-8b"])
def test_an_engine_with_a_backlog_takes_little_more(profile: str, prompt: int, output: int) -> None:
    known = load_profile(profile)
    trace = Trace(np.zeros(400), np.full(400, prompt), np.full(400, output), 1.0)
    engines = Engines(trace, known)
    engines.open(0, 0.0)
    engines.run(3600.0)
    busy = engines.requests["finished"].max()
    assert busy / 1.4 < least_work(trace, known).seconds.sum() <= busy


@pytest.mark.parametrize("name", PEERS)
def test_no_peer_pays_less_for_what_it_serves(name: str) -> None:
    trace, profile = load_trace("step:rate=2,hours=0.5,factor=4,at=600", seed=3), load_profile("a10g-llama-8b")
    situation = Situation(Bounds(1, 12), profile, trace, cold_start=60.0)
    result = replay(Scenario(trace, profile, 60.0, seed=3), PEERS[name].policy(situation))
    bound = lower_bound(least_work(trace, profile), trace.duration, least=1, missed=result.unfinished / result.requests)
    assert result.gpu_hours * 3600.0 >= bound
