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
STREAMS = {
    "several tokens in one event": ([ROLE, TOKENS, LAST, DONE], "complete"),
    "stopped by an error event": ([ROLE, TOKENS, ERROR, DONE], "cut"),
    "aborted by the engine": ([ROLE, TOKENS, ABORT, DONE], "cut"),
    "ended in the middle": ([ROLE, TOKENS], "cut"),
}


def service(events: list[bytes]) -> TestServer:
    async def chat(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for event in events:
            await response.write(event)
        return response

    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", chat)])
    return TestServer(app)


@pytest.mark.parametrize(("events", "outcome"), STREAMS.values(), ids=STREAMS.keys())
async def test_a_stream_is_complete_when_it_says_why_it_ended(events: list[bytes], outcome: str) -> None:
    async with service(events) as server, aiohttp.ClientSession() as session:
        options = argparse.Namespace(url=str(server.make_url("")).rstrip("/"), max_tokens=3, model=None)
        tally = load.Tally()
        await load._stream(session, options, tally)
    assert tally.outcomes == {outcome: 1}, tally.notes


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
