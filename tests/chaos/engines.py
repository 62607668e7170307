"""Engines behind the addresses of pods that do not run: one simulator, which shows the same at each of them."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from aiohttp import web

from enginesim.batching import Request
from enginesim.options import parse
from enginesim.server import Server

PORT = 8000
SLOTS = 4
BUSY = 40
"""Requests that four replicas of that many slots can not take: each engine is asked by so many."""
Answers = Literal["well", "nothing", "refuses", "late", "without metrics", "nonsense"]
LATE_SECONDS = 4.0
NONSENSE = """\
<html>It works!</html>
vllm:num_requests_running{engine="0"} 1e300
"""


class Fleet:
    """The engines, in a thread of their own.

    Attributes:
        answers: how they answer a scrape.
        silent: addresses of those that answer nothing, whatever the others do.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.answers: Answers = "well"
        self.silent: frozenset[str] = frozenset()
        self._loop = loop
        hardware = {"ENGINESIM_ITERATION_SECONDS": "0.2", "ENGINESIM_KV_TOKENS": "1000000000"}
        self._server = Server(parse(["vllm", "serve", "llama", f"--max-num-seqs={SLOTS}"], hardware))
        self._requests: list[Request] = []

    def load(self, requests: int) -> None:
        """Have so many requests in each engine, which do not end by themselves."""
        self._loop.call_soon_threadsafe(self._load, requests)

    def _load(self, requests: int) -> None:
        while len(self._requests) > requests:
            self._server.batcher.abort(self._requests.pop())
        while len(self._requests) < requests:
            self._requests.append(Request(prompt_tokens=40, max_tokens=1_000_000))
            self._server.batcher.submit(self._requests[-1])

    async def listen(self, addresses: Sequence[str]) -> None:
        """Answer at these until the loop's tasks are cancelled."""
        app = self._server.app()
        app.middlewares.append(self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        assert runner.server is not None
        listening = await self._loop.create_server(runner.server, addresses, PORT)
        core = asyncio.create_task(self._server.batcher.run())
        try:
            await asyncio.Event().wait()
        finally:
            core.cancel()
            listening.close()
            await runner.cleanup()

    @web.middleware
    async def _answer(self, request: web.Request, handler: Any) -> web.StreamResponse:
        assert request.transport
        address, _ = request.transport.get_extra_info("sockname")
        match "nothing" if address in self.silent else self.answers:
            case "nothing":
                request.transport.abort()
            case "refuses":
                return web.Response(status=503)
            case "late":
                await asyncio.sleep(LATE_SECONDS)
            case "without metrics":
                return web.Response(text="# TYPE python_info gauge\npython_info 1\n")
            case "nonsense":
                return web.Response(text=NONSENSE)
        answer: web.StreamResponse = await handler(request)
        return answer


@contextmanager
def running_fleet(addresses: Sequence[str]) -> Iterator[Fleet]:
    """Engines at these addresses of the loopback."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    fleet = Fleet(loop)
    listening = asyncio.run_coroutine_threadsafe(fleet.listen(addresses), loop)
    try:
        yield fleet
    finally:
        listening.cancel()
        asyncio.run_coroutine_threadsafe(_ended(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _ended() -> None:
    """All other tasks have come to their ends."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
