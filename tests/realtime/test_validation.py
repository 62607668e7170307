"""The replay beside the engine simulator's server in real time: the same requests, the same law, two programs.

The server's clock is slow, steps of 50 to 600 ms, so that a busy machine's delays weigh little.
"""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from llmendpoint.simulate.policy import Order, View
from llmendpoint.simulate.profiles import EngineProfile
from llmendpoint.simulate.replay import Scenario, replay
from llmendpoint.simulate.traces import Trace, load_trace
from support.prometheus import Simulator, running_simulator

ENGINE = EngineProfile(
    "slow", "", 1, alpha=0.05, beta=0.002, gamma=0.001, kappa=5e-6, max_num_seqs=8, max_num_batched_tokens=512,
    kv_tokens=100_000,
)  # fmt: skip
SECONDS = 40.0
# The batch is full, or has its usual size, from then on.
WARM_SECONDS = 10.0
PROMPT, OUTPUT = 400, 24
AGREE = 0.15


@dataclass(frozen=True)
class Seen:
    """What a client and a scraper see."""

    ttft_p50: float
    ttft_p95: float
    tokens_per_second: float
    """Generated, from WARM_SECONDS to SECONDS."""


class OneReplica:
    """A static fleet; keeps the generated tokens that its engine's /metrics shows."""

    name = "static"
    period = WARM_SECONDS
    metric_delay = 0.0

    def __init__(self) -> None:
        self.tokens: dict[float, float] = {}

    def start(self, replicas: int) -> None:
        assert replicas == 1

    def order(self, view: View) -> Order:
        (pod,) = view.pods
        assert pod.sample is not None
        self.tokens[view.now] = pod.sample.generation_tokens_total
        return Order(1)


def trace_at(utilization: float) -> Trace:
    seconds = ENGINE.replica_seconds(np.array([PROMPT]), np.array([OUTPUT]))[0]
    rate, hours = utilization / seconds, SECONDS / 3600.0
    return load_trace(f"poisson:rate={rate},hours={hours},input={PROMPT},output={OUTPUT},length_cv=0.6", seed=2)


def replayed(trace: Trace) -> Seen:
    policy = OneReplica()
    result = replay(Scenario(trace, ENGINE, cold_start=0.0, warm_replicas=1), policy)
    assert result.unfinished == 0
    grown = policy.tokens[SECONDS] - policy.tokens[WARM_SECONDS]
    return Seen(result.ttft_p50, result.ttft_p95, grown / (SECONDS - WARM_SECONDS))


async def served(trace: Trace, server: Simulator) -> Seen:
    """Send the requests when their time comes, and read the server's metrics beside them."""
    start = time.monotonic()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(f"http://{server.address}", connector=connector) as session:

        async def ttft(at: float, prompt: int, output: int) -> float:
            await asyncio.sleep(start + at - time.monotonic())
            body = {"prompt": "word" * prompt, "max_tokens": output, "stream": True}
            began, first = time.monotonic(), 0.0
            async with session.post("/v1/completions", json=body) as answer:
                async for line in answer.content:
                    first = first or (time.monotonic() - began if line.startswith(b"data: ") else 0.0)
            return first

        async def tokens(at: float) -> tuple[float, float]:
            await asyncio.sleep(start + at - time.monotonic())
            async with session.get("/metrics") as answer:
                text = await answer.text()
            line = next(line for line in text.splitlines() if line.startswith("vllm:generation_tokens_total{"))
            return time.monotonic(), float(line.rpartition(" ")[2])

        requests = zip(trace.t.tolist(), trace.input_tokens.tolist(), trace.output_tokens.tolist(), strict=True)
        (then, few), (now, many), *times = await asyncio.gather(
            tokens(WARM_SECONDS), tokens(SECONDS), *(ttft(*request) for request in requests)
        )
    p50, p95 = np.percentile(times, (50, 95))
    return Seen(float(p50), float(p95), (many - few) / (now - then))


async def test_replay_and_server_agree_under_moderate_and_under_saturating_load(tmp_path: Path) -> None:
    traces = [trace_at(0.6), trace_at(1.4)]
    arguments = [
        "vllm", "serve", "tiny", f"--max-num-seqs={ENGINE.max_num_seqs}",
        f"--max-num-batched-tokens={ENGINE.max_num_batched_tokens}",
    ]  # fmt: skip
    hardware = {
        "ENGINESIM_ITERATION_SECONDS": ENGINE.alpha,
        "ENGINESIM_PER_SEQUENCE_SECONDS": ENGINE.beta,
        "ENGINESIM_PREFILL_RATE": 1.0 / ENGINE.gamma,
        "ENGINESIM_PER_CACHED_TOKEN_SECONDS": ENGINE.kappa,
        "ENGINESIM_KV_TOKENS": ENGINE.kv_tokens,
    }
    environment = {name: str(value) for name, value in hardware.items()}
    with (
        running_simulator(tmp_path, *arguments, **environment) as one,
        running_simulator(tmp_path, *arguments, **environment) as other,
    ):
        real = await asyncio.gather(served(traces[0], one), served(traces[1], other))
    for trace, seen in zip(traces, real, strict=True):
        modelled = replayed(trace)
        print(f"{len(trace.t)} requests; server {seen}; replay {modelled}")
        for name, value in vars(modelled).items():
            assert getattr(seen, name) == pytest.approx(value, rel=AGREE), name
