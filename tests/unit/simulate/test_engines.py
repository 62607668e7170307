"""The engine model: equal to a step by step one, and to the closed forms of queueing and of its profile."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmendpoint.simulate.batching import FINISHED, LOST, REFUSED
from llmendpoint.simulate.engines import Engines, Routing
from llmendpoint.simulate.profiles import EngineProfile, load_profile
from llmendpoint.simulate.traces import Trace, make_trace
from support.stepwise import Request, StepwiseEngine

A10G = load_profile("a10g-llama-8b")


def trace_of(rows: list[tuple[float, int, int]]) -> Trace:
    t, inputs, outputs = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return make_trace((t, inputs.astype(np.int64), outputs.astype(np.int64)))


def poisson(rate: float, seconds: float, prompt: int, output: int, seed: int = 1) -> Trace:
    t = np.cumsum(np.random.default_rng(seed).exponential(1.0 / rate, int(rate * seconds)))
    return make_trace((t, np.full(len(t), prompt), np.full(len(t), output)))


def served(
    trace: Trace, profile: EngineProfile = A10G, *, replicas: int = 1, routing: Routing = "least-loaded",
    until: float = 1e9,
) -> Engines:  # fmt: skip
    engines = Engines(trace, profile, routing)
    for slot in range(replicas):
        engines.open(slot, 0.0)
    engines.run(until)
    return engines


def ttft(engines: Engines) -> np.ndarray:
    return engines.requests["first_token"] - engines.requests["arrived"]


profiles = st.builds(
    EngineProfile,
    name=st.just("any"),
    description=st.just(""),
    gpus=st.just(1),
    alpha=st.floats(0.001, 0.1),
    beta=st.floats(0.0, 0.01),
    gamma=st.floats(0.0, 0.001),
    kappa=st.sampled_from([0.0, 1e-7, 1e-5]),
    max_num_seqs=st.integers(1, 8),
    max_num_batched_tokens=st.integers(4, 300),
    kv_tokens=st.integers(320, 1600),
)
rows = st.lists(
    st.tuples(st.floats(0.0, 5.0), st.integers(1, 200), st.integers(1, 100)), min_size=1, max_size=25
)  # fmt: skip


@given(profiles, rows, st.lists(st.floats(0.0, 20.0), max_size=10))
@settings(max_examples=150)
def test_jumps_and_pauses_give_what_single_steps_give(
    profile: EngineProfile, requests: list[tuple[float, int, int]], pauses: list[float]
) -> None:
    trace = trace_of(sorted(requests))
    expected = [Request(t, prompt, output) for t, prompt, output in sorted(requests)]
    StepwiseEngine(profile).serve(expected)
    engines = Engines(trace, profile)
    engines.open(0, 0.0)
    for pause in [*sorted(pauses), 1e9]:
        engines.run(pause)
        assert engines.gauges["blocks"][0] <= profile.kv_blocks
    for name in ("first_token", "finished"):
        got = engines.requests[name]
        assert got == pytest.approx([getattr(request, name) for request in expected], rel=1e-9), name


def test_the_cases_of_that_test_include_preemption() -> None:
    profile = replace(A10G, kv_tokens=320, max_num_seqs=8)
    engine = StepwiseEngine(profile)
    requests = [Request(0.01 * i, 100, 90) for i in range(6)]
    engine.serve(requests)
    assert engine.preemptions > 0
    assert engine.most_blocks == profile.kv_blocks
    engines = served(trace_of([(request.arrived, request.prompt, request.output) for request in requests]), profile)
    assert engines.requests["finished"] == pytest.approx([request.finished for request in requests], rel=1e-9)


@pytest.mark.parametrize("prompt", [1, 500, 2048, 2049, 20_000])
def test_on_an_idle_replica_the_first_token_comes_after_the_prefill(prompt: int) -> None:
    engines = served(trace_of([(0.0, prompt, 5), (1000.0, prompt, 5)]))
    steps = -(-prompt // 2048)
    by_hand = sum(
        A10G.alpha + A10G.beta + A10G.gamma * min(2048, prompt - 2048 * step) + A10G.kappa * 2048 * step
        for step in range(steps)
    )
    assert ttft(engines) == pytest.approx([by_hand, by_hand])
    assert A10G.unloaded_prefill_seconds(np.array([prompt]))[0] == pytest.approx(by_hand)


def saturated_rate(profile: EngineProfile, prompt: int, output: int) -> float:
    """Requests per second of a replica that always has a queue, of lengths that keep it from working in waves."""
    count = 40 * profile.max_num_seqs
    outputs = np.random.default_rng(3).integers(output // 2, output + output // 2 + 1, count)
    engines = served(make_trace((np.zeros(count), np.full(count, prompt), outputs)), profile)
    finished = np.sort(engines.requests["finished"])
    # Without the beginning and the end, where the batch is not full.
    first, last = count // 4, 3 * count // 4
    return float((last - first) / (finished[last] - finished[first]))


def limit(profile: EngineProfile, prompt: int, output: int) -> float:
    return float(1.0 / profile.replica_seconds(np.array([prompt]), np.array([output]))[0])


@pytest.mark.parametrize("name", ["a10g-llama-8b", "h100-llama-8b", "4xh100-llama-70b"])
@pytest.mark.parametrize(("prompt", "output"), [(1000, 200), (100, 1000), (3000, 20), (8000, 2)])
def test_a_saturated_replica_works_at_the_closed_form_limit_of_its_profile(name: str, prompt: int, output: int) -> None:
    profile = replace(load_profile(name), max_num_seqs=24, kv_tokens=10_000_000)
    assert saturated_rate(profile, prompt, output) == pytest.approx(limit(profile, prompt, output), rel=0.015)


@pytest.mark.parametrize(("prompt", "output", "share"), [(1000, 200, 0.9), (100, 1000, 0.65)])
def test_a_small_kv_cache_costs_throughput_by_preemption(prompt: int, output: int, share: float) -> None:
    profile = replace(A10G, max_num_seqs=128)
    assert share < saturated_rate(profile, prompt, output) / limit(profile, prompt, output) < 1.05


@pytest.mark.parametrize("utilization", [0.3, 0.6, 0.8])
def test_one_slot_waits_as_long_as_an_m_d_1_queue(utilization: float) -> None:
    profile = replace(A10G, max_num_seqs=1, kappa=0.0)
    prompt, output = 300, 20
    service = profile.unloaded_prefill_seconds(np.array([prompt]))[0] + (output - 1) * (profile.alpha + profile.beta)
    engines = served(poisson(utilization / service, 200_000.0 * service, prompt, output), profile)
    waited = ttft(engines).mean() - profile.unloaded_prefill_seconds(np.array([prompt]))[0]
    # Pollaczek-Khinchine for a fixed service time.
    assert waited == pytest.approx(utilization * service / (2.0 * (1.0 - utilization)), rel=0.04)


@given(rows, st.integers(1, 3), st.floats(0.1, 10.0))
@settings(max_examples=60)
def test_littles_law_holds_at_any_moment(requests: list[tuple[float, int, int]], replicas: int, now: float) -> None:
    trace = trace_of(sorted(requests))
    engines = served(trace, replace(A10G, kv_tokens=640, max_num_seqs=4), replicas=replicas, until=now)
    sample = engines.proxy_sample(now)
    engines.run(1e9)
    arrived, finished = engines.requests["arrived"], engines.requests["finished"]
    inside = (np.minimum(finished, now) - arrived)[arrived <= now]
    # Mean in flight x time = arrivals x mean time in the system; of those that are still there, the time so far.
    assert sample.in_flight_seconds_total == pytest.approx(inside.sum(), rel=1e-9, abs=1e-9)
    assert sample.in_flight == ((arrived <= now) & (finished > now)).sum()


def test_as_many_prompts_are_admitted_as_the_kv_cache_has_blocks_for() -> None:
    profile = replace(A10G, kv_tokens=1600)
    engines = served(trace_of([(0.0, 300, 2)] * 12), profile, until=0.2)
    # 19 blocks each of 100, in the second step: the first began with the first request.
    assert (engines.gauges["running"][0], engines.gauges["waiting"][0]) == (5, 7)


@given(rows, st.integers(1, 4), st.sampled_from(["least-loaded", "round-robin"]), st.floats(0.0, 10.0))
@settings(max_examples=60)
def test_every_request_finishes_once(
    requests: list[tuple[float, int, int]], replicas: int, routing: Routing, cut: float
) -> None:
    trace = trace_of(sorted(requests))
    engines = served(trace, replace(A10G, kv_tokens=640, max_num_seqs=4), replicas=replicas, routing=routing, until=cut)
    arrived = int((trace.t <= cut).sum())
    sample = engines.proxy_sample(cut)
    assert sample.requests_total == arrived
    assert sample.finished_total + sample.in_flight == arrived
    assert sum(engines.load(slot) for slot in range(replicas)) == sample.in_flight
    engines.run(1e9)
    assert (engines.requests["state"] == FINISHED).all()
    assert (engines.requests["generated"] == engines.requests["output"]).all()
    gauges = engines.gauges
    assert gauges["requests_total"].sum() == len(trace.t)
    assert gauges["prompt_tokens_total"].sum() == trace.input_tokens.sum()
    assert gauges["generation_tokens_total"].sum() == engines.requests["output"].sum()
    assert gauges["blocks"].sum() == gauges["cached"].sum() == gauges["waiting_prompt"].sum() == 0
    assert engines.ttft_counts[:, -1].sum() == len(trace.t)


def test_the_gauges_are_those_of_the_last_step_as_in_vllm() -> None:
    """A request that came during a step is in no gauge before the end of the step that looks at it."""
    engines = Engines(trace_of([(0.0, 1000, 50), (0.1, 1000, 50), (0.5, 2000, 50), (0.6, 100, 50)]), A10G)
    engines.open(0, 0.0)
    seen = []
    # Steps end at 0.38, at 0.76 with the second prompt, and at 1.51 with the third and part of the last one.
    for now in (0.37, 0.39, 0.75, 0.77, 1.5, 1.52):
        engines.run(now)
        seen.append((engines.load(0), *engines.gauges[["shown_running", "shown_waiting"]].item(0)))
    assert seen == [(2, 0, 0), (2, 1, 0), (4, 1, 0), (4, 2, 0), (4, 2, 0), (4, 4, 0)]


def test_round_robin_gives_each_replica_its_turn() -> None:
    engines = served(trace_of([(0.001 * i, 10, 10) for i in range(9)]), replicas=3, routing="round-robin")
    assert engines.gauges["requests_total"][:3].tolist() == [3, 3, 3]


def test_by_load_a_busy_replica_is_spared() -> None:
    engines = Engines(trace_of([(0.0, 10, 1000), (0.1, 10, 1), (0.5, 10, 1), (1.0, 10, 1)]), A10G)
    for slot in (0, 1):
        engines.open(slot, 0.0)
    engines.run(2.0)
    assert sorted(engines.gauges["requests_total"][:2].tolist()) == [0, 3]


def test_requests_are_held_while_no_replica_accepts() -> None:
    engines = Engines(trace_of([(1.0, 100, 5), (2.0, 100, 5)]), A10G)
    engines.run(10.0)
    assert (engines.proxy_sample(10.0).held, engines.waiting, engines.in_flight) == (2, 2, 2)
    engines.open(0, 10.0)
    engines.run(20.0)
    assert engines.proxy_sample(20.0).held == 0
    assert (ttft(engines) > 8.0).all()
    assert engines.ttft_counts[0, 9] == 2, "an engine's own TTFT begins when the request enters it"


def test_a_closed_replica_finishes_what_it_has_and_gets_no_more() -> None:
    engines = Engines(trace_of([(0.0, 100, 300), (1.0, 100, 5)]), A10G)
    for slot in (0, 1):
        engines.open(slot, 0.0)
    engines.run(0.5)
    busy = int(np.argmax(engines.gauges["running"]))
    engines.close(busy, 0.5)
    engines.run(60.0)
    assert engines.gauges["requests_total"][busy] == 1
    assert (engines.requests["state"] == FINISHED).all()
    assert engines.idle_since(busy) == pytest.approx(engines.requests["finished"][0])


def test_what_was_in_a_crashed_engine_is_lost() -> None:
    engines = Engines(trace_of([(0.1 * i, 100, 500) for i in range(20)]), replace(A10G, max_num_seqs=4))
    engines.open(0, 0.0)
    engines.run(1.05)
    engines.crash(0, 1.05)
    assert (engines.requests["state"] == LOST).sum() == 11
    assert engines.in_flight == 0
    engines.run(5.0)
    assert engines.proxy_sample(5.0).held == 9
    engines.open(0, 5.0)
    engines.run(1e9)
    assert (engines.requests["state"] == FINISHED).sum() == 9


def test_a_prompt_larger_than_the_kv_cache_is_refused_and_a_long_answer_ends_with_it() -> None:
    engines = served(trace_of([(0.0, 40_000, 5), (1.0, 31_000, 5000)]))
    assert engines.requests["state"].tolist() == [REFUSED, FINISHED]
    assert engines.requests["generated"][1] == 1001
    assert engines.in_flight == 0
