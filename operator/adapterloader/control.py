"""The port for the kubelet and the operator: whether the pod may serve, and how far each adapter is."""

import contextlib
import math
from collections.abc import AsyncIterator

from aiohttp import web

from adapterloader.loader import Loader

LONGEST_SECONDS = 60.0


def app(loader: Loader) -> web.Application:
    """All routes."""

    async def alive(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def ready(_: web.Request) -> web.Response:
        return web.Response(status=200 if loader.is_ready else 503)

    async def adapters(request: web.Request) -> web.Response:
        """At once, or with ``?seconds=N`` when something is new, after so many seconds at the latest."""
        try:
            seconds = float(request.query.get("seconds", "0"))
        except ValueError:
            seconds = 0.0
        if math.isfinite(seconds) and seconds > 0:
            await loader.changed(min(seconds, LONGEST_SECONDS))
        return web.json_response({"adapters": loader.report()})

    made = web.Application()
    made.add_routes([web.get("/livez", alive), web.get("/readyz", ready), web.get("/adapters", adapters)])
    return made


@contextlib.asynccontextmanager
async def listening(loader: Loader, host: str, port: int) -> AsyncIterator[None]:
    """Answer within the block."""
    runner = web.AppRunner(app(loader), access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()
