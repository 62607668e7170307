"""The port for the operator and the kubelet: how far the fetch is."""

import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from modelfetch.fetcher import Fetcher


@contextlib.asynccontextmanager
async def listening(fetcher: Fetcher, host: str, port: int) -> AsyncIterator[None]:
    """Answer within the block."""

    async def ready(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def progress(_: web.Request) -> web.Response:
        return web.json_response(fetcher.report)

    app = web.Application()
    app.add_routes([web.get("/readyz", ready), web.get("/progress", progress)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()
