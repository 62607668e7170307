"""What a simulated engine answers to which model name: a wrong one must be found in tests, as with the real engines."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from enginesim.batching import Batcher, Request
from enginesim.group import Group, follow
from enginesim.options import parse
from enginesim.server import Server
from enginesim.vllm_metrics import VllmMetrics
from llmendpoint.engines import engine_for
from llmendpoint.metrics.extract import sample_of
from llmendpoint.metrics.parser import parse as parse_metrics
from llmendpoint.scaling.signals import EngineSample
from support.prometheus import free_port

VLLM = ["vllm", "serve", "acme/llama", "--served-model-name", "tiny", "twin"]
TGI = ["tgi", "--model-id=acme/llama"]
SGLANG = ["sglang", "serve", "--model-path=acme/llama", "--served-model-name=tiny", "--enable-metrics"]


async def answer(arguments: list[str], path: str, **body: Any) -> tuple[int, dict[str, Any]]:
    """Status and body of one answer to a request for more tokens than the context has."""
    server = Server(parse(arguments, {}))
    async with TestClient(TestServer(server.app())) as client:
        response = await client.post(path, json={"messages": [], "prompt": "", "max_tokens": 100_000, **body})
        return response.status, await response.json()


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
@pytest.mark.parametrize("model", ["acme/llama", "Tiny"])
async def test_vllm_does_not_know_a_model_of_another_name(path: str, model: str) -> None:
    status, body = await answer(VLLM, path, model=model)
    assert status == 404
    error = body["error"]
    assert (error["type"], error["param"], error["code"]) == ("NotFoundError", "model", 404)
    assert error["message"].startswith(f"The model `{model}` does not exist")


@pytest.mark.parametrize(
    ("arguments", "model"),
    [(VLLM, "tiny"), (VLLM, "twin"), (VLLM, None), (VLLM, ""), (TGI, "anything"), (SGLANG, "any")],
)
async def test_a_known_name_or_none_is_served(arguments: list[str], model: str | None) -> None:
    status, body = await answer(arguments, "/v1/chat/completions", model=model)
    assert (status, body["error"]["param"]) == (400, None)
    assert "above the context" in body["error"]["message"]


async def test_a_long_prompt_is_read_in_chunks_beside_those_that_decode() -> None:
    options = parse(["vllm", "serve", "tiny", "--max-num-batched-tokens=100", "--max-num-seqs=2"], {})
    batcher = Batcher(options.hardware, options.max_sequences, options.max_batched_tokens, VllmMetrics(options))
    short, long, late = Request(30, 4), Request(250, 1), Request(10, 1)
    for request in (short, long, late):
        batcher.submit(request)
    steps = []
    while batcher.in_flight:
        taken = batcher._schedule()
        steps.append([taken.get(request, 0) for request in (short, long, late)])
        batcher._emit(taken)
    assert steps == [[30, 70, 0], [1, 99, 0], [1, 81, 0], [1, 0, 10]]
    assert [request.generated for request in (short, long, late)] == [4, 1, 1]


async def scraped(client: TestClient[Any, Any]) -> EngineSample | str:
    text, names = await (await client.get("/metrics")).text(), engine_for("SGLang").metrics
    found = parse_metrics(text, names.wanted)
    return sample_of(found, names, taken_at=1.0, own_metrics=names.prefix in text, objective=2.0)


async def test_the_operator_reads_what_sglang_shows_of_a_request() -> None:
    server = Server(parse(SGLANG, {"ENGINESIM_ITERATION_SECONDS": "0.001"}))
    core = asyncio.create_task(server.batcher.run())
    async with TestClient(TestServer(server.app())) as client:
        idle = await scraped(client)
        body = {"prompt": "a" * 40, "max_tokens": 3}
        assert (await client.post("/v1/completions", json=body)).status == 200
        assert b"[DONE]" in await (await client.post("/v1/completions", json={**body, "stream": True})).read()
        used = await scraped(client)
    core.cancel()
    assert isinstance(idle, EngineSample)
    assert isinstance(used, EngineSample)
    assert (idle.running, idle.requests_total, idle.kv_usage, idle.steps_total) == (0, 0, 0, None)
    assert (used.running, used.waiting, used.requests_total, used.kv_usage) == (0, 0, 2, 0)
    assert (used.prompt_tokens_total, used.generation_tokens_total, used.steps_total) == (20, 6, 6)
    assert (used.queued_total, used.late_total, used.ttft_buckets[-1][1]) == (2, 0, 2)


async def test_sglang_that_drains_is_not_ready_and_takes_what_comes_all_the_same() -> None:
    server = Server(parse(SGLANG, {}))
    server.draining = True
    async with TestClient(TestServer(server.app())) as client:
        assert (await client.get("/health")).status == 503
        refused = await client.post("/v1/completions", json={"prompt": "", "max_tokens": 100_000})
        assert refused.status == 400


@pytest.mark.parametrize(
    ("asked", "limit", "said", "reason"),
    [
        ("Sources:\n\n[1] Caches by Ada\nA cache keeps\nanswers. It ends\n\n[2] B\nNo.\n\nQuestion: why?", 50,
         "A cache keeps answers. [1]", "stop"),
        ("Sources:\n\n[1] Caches\nA cache keeps answers.\n\nQuestion: why?", 3, "A cache keeps", "length"),
        ("What is a cache?", 50, "What is a cache?", "stop"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
async def test_a_quoting_engine_says_what_its_prompt_says(
    asked: str, limit: int, said: str, reason: str, stream: bool
) -> None:
    server = Server(parse(VLLM, {"ENGINESIM_QUOTES": "1", "ENGINESIM_ITERATION_SECONDS": "0.001"}))
    core = asyncio.create_task(server.batcher.run())
    messages = [
        {"role": "system", "content": "Answer from the sources, as in [1]."},
        {"role": "user", "content": asked},
    ]
    async with TestClient(TestServer(server.app())) as client:
        body = {"messages": messages, "max_tokens": limit, "stream": stream}
        response = await client.post("/v1/chat/completions", json=body)
        text = await response.text()
    core.cancel()
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")] or [json.loads(text)]
    choices = [event["choices"][0] for event in events]
    assert "".join(choice.get("delta", choice.get("message"))["content"] for choice in choices) == said
    assert choices[-1]["finish_reason"] == reason


async def test_rank_0_waits_for_the_others_and_what_one_loses_ends_them_all() -> None:
    port = f"--master-port={free_port()}"
    told = ["--nnodes=3", "--master-addr=127.0.0.1", port, "--node-rank"]
    first, *others = (parse([*VLLM, *told, str(rank), *["--headless"][: bool(rank)]], {}).nodes for rank in range(3))
    group = Group(first)
    gathering = asyncio.create_task(group.gather())
    early = asyncio.create_task(follow(others[0]))
    await asyncio.sleep(0.2)
    assert not gathering.done()
    late = asyncio.create_task(follow(others[1]))
    await asyncio.wait_for(gathering, 5)
    assert not group.broken.is_set()
    late.cancel()
    await asyncio.wait_for(group.broken.wait(), 5)
    group.close()
    early.cancel()
    await asyncio.sleep(0.1)


@pytest.mark.parametrize("wrong", [["--headless"], ["--headless", "-r", "1", "-asc=1"], ["-r", "1"]])
def test_a_rank_that_real_vllm_refuses_is_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        parse([*VLLM, "--nnodes=2", *wrong], {})


def test_sglang_finds_the_address_of_rank_0() -> None:
    nodes = parse([*SGLANG, "--nnodes=2", "--node-rank=1", "--dist-init-addr=llama-0.llama:20000"], {}).nodes
    assert (nodes.rank, nodes.address, nodes.port, nodes.leaves_at_sigterm) == (1, "llama-0.llama", 20000, False)
