"""The load generator tells whole streams from cut ones, whatever number of tokens comes in one event."""

import argparse
import asyncio

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from enginesim import load

ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
TOKENS = b'data: {"choices":[{"delta":{"content":" one two"},"finish_reason":null}]}\n\n'
LAST = b'data: {"choices":[{"delta":{"content":" three"},"finish_reason":"length"}]}\n\n'
ABORT = b'data: {"choices":[{"delta":{"content":""},"finish_reason":"abort"}]}\n\n'
ERROR = b'data: {"error":{"message":"EngineCore encountered an issue","code":500}}\n\n'
DONE = b"data: [DONE]\n\n"
CHATS = {
    "several tokens in one event": ([ROLE, TOKENS, LAST, DONE], "complete"),
    "stopped by an error event": ([ROLE, TOKENS, ERROR, DONE], "cut"),
    "aborted by the engine": ([ROLE, TOKENS, ABORT, DONE], "cut"),
    "ended in the middle": ([ROLE, TOKENS], "cut"),
}
SOURCES = b'event: sources\ndata: {"sources":[]}\n\n'
TOKEN = b'event: token\ndata: {"text":" one"}\n\n'
TIMED = b'event: done\ndata: {"timings":{}}\n\n'
FAILED = b'event: error\ndata: {"detail":"the engine does not answer"}\n\n'
ANSWERS = {
    "sources, tokens, times": ([SOURCES, TOKEN, TOKEN, TIMED], "complete"),
    "stopped by an error": ([SOURCES, TOKEN, FAILED], "cut"),
    "ended early": ([SOURCES, TOKEN], "cut"),
}


def service(path: str, events: list[bytes]) -> TestServer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for event in events:
            await response.write(event)
        return response

    app = web.Application()
    app.add_routes([web.post(path, answer)])
    return TestServer(app)


async def asked(path: str, events: list[bytes], question: str | None) -> load.Tally:
    async with service(path, events) as server, aiohttp.ClientSession() as session:
        options = argparse.Namespace(url=str(server.make_url("")).rstrip("/"), max_tokens=3, model=None)
        tally = load.Tally()
        await load._stream(session, options, question, tally)
    return tally


@pytest.mark.parametrize(("events", "outcome"), CHATS.values(), ids=CHATS.keys())
async def test_a_stream_is_complete_when_it_says_why_it_ended(events: list[bytes], outcome: str) -> None:
    tally = await asked("/v1/chat/completions", events, None)
    assert tally.outcomes == {outcome: 1}, tally.notes


@pytest.mark.parametrize(("events", "outcome"), ANSWERS.values(), ids=ANSWERS.keys())
async def test_an_answer_to_a_question_is_complete_with_its_times(events: list[bytes], outcome: str) -> None:
    tally = await asked("/rag/stream", events, "what is a feature store?")
    assert tally.outcomes == {outcome: 1}, tally.notes
    assert (len(tally.ttft), len(tally.total)) == (1, int(outcome == "complete"))
    assert outcome == "complete" or tally.notes


async def test_a_fixed_number_of_streams_runs_at_a_time() -> None:
    running, most, begun = 0, 0, 0
    stop = asyncio.Event()

    async def stream() -> None:
        nonlocal running, most, begun
        running, begun = running + 1, begun + 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        if begun >= 20:
            stop.set()

    await load._back_to_back(argparse.Namespace(concurrency=3, seconds=60.0), stop, stream)
    assert most == 3
    assert 20 <= begun <= 22
