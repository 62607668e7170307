"""Servers within the test's own event loop: one of any answers, and an engine simulator."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web

from enginesim.options import parse
from enginesim.server import Server

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
FAST = {"ENGINESIM_ITERATION_SECONDS": "0.001", "ENGINESIM_PER_SEQUENCE_SECONDS": "0"}


def answering(handler: Handler) -> web.Application:
    """One answer to every request."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    return app


@contextlib.asynccontextmanager
async def listening(app: web.Application, port: int, **options: Any) -> AsyncIterator[None]:
    runner = web.AppRunner(app, **{"shutdown_timeout": 0.1, **options})
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=2048).start()
    try:
        yield
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def forwarding(port: int, leads_to: list[int]) -> AsyncIterator[None]:
    """What a Service does: a connection goes to the port that is in ``leads_to`` when it is made, and stays there."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", leads_to[0])

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
            sink.close()

        await asyncio.gather(pump(reader, behind_writer), pump(behind_reader, writer))

    server = await asyncio.start_server(forward, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()


@contextlib.asynccontextmanager
async def engine(port: int, *arguments: str) -> AsyncIterator[Server]:
    """A fast engine that serves a model ``tiny``."""
    command = ["vllm", "serve", "acme/llama", "--served-model-name", "tiny", *arguments]
    server = Server(parse(command, FAST))
    core = asyncio.create_task(server.batcher.run())
    async with listening(server.app(), port):
        yield server
    core.cancel()
