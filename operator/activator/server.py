"""The activator's ports: one for each route, and one for probes, metrics and the operator, which asks who waits."""

import asyncio
import contextlib
import resource
import signal
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web
from prometheus_client import generate_latest

from activator.options import Options
from activator.proxy import Proxy

BACKLOG = 4096
LONGEST_WATCH_SECONDS = 60.0
CONNECT_SECONDS = 5.0


async def serve(options: Options) -> None:
    """Serve until SIGTERM; then take nothing new, and end when all that is held was answered.

    The pod's grace period is the bound: it is longer than a request may wait.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running(options) as activator:
        print(f"activator: holds requests to {', '.join(url for _, url in options.routes)}", flush=True)  # noqa: T201
        await stop.wait()
        print(f"activator: SIGTERM, requests held or being answered: {activator.proxy.open}", flush=True)  # noqa: T201
        await activator.drain()


class Activator:
    """A running one."""

    def __init__(self, proxy: Proxy, fronts: list[web.BaseSite]) -> None:
        self.proxy = proxy
        self._fronts = fronts

    async def drain(self) -> None:
        """Take nothing new, and return when everything was answered."""
        for site in self._fronts:
            await site.stop()
        while self.proxy.open:  # noqa: ASYNC110 - the answers come from many tasks, and nobody hurries
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def running(options: Options) -> AsyncIterator[Activator]:
    """An activator that listens within the block."""
    _allow_many_connections()
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
    # A connection for each request, so that the Service spreads them over its replicas.
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    # One client's cookies are none of the next one's.
    cookies = aiohttp.DummyCookieJar()
    async with (
        aiohttp.ClientSession(
            timeout=timeout, connector=connector, cookie_jar=cookies, auto_decompress=False
        ) as session,
        contextlib.AsyncExitStack() as stack,
    ):
        proxy = Proxy(options, session)
        await _listen(stack, _control(proxy), options.host, options.control_port)
        fronts = [await _listen(stack, proxy.app(url), options.host, port) for port, url in options.routes]
        yield Activator(proxy, fronts)


async def _listen(stack: contextlib.AsyncExitStack, app: web.Application, host: str, port: int) -> web.BaseSite:
    # Without handler_cancellation a client that goes away would keep its place. What is compressed is passed on so.
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, auto_decompress=False, shutdown_timeout=1.0)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, host, port, backlog=BACKLOG)
    await site.start()
    return site


def _control(proxy: Proxy) -> web.Application:
    async def ready(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(proxy.registry), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def waiting(request: web.Request) -> web.Response:
        """How many wait; with ``seconds`` not before one does, or that time has passed."""
        try:
            seconds = min(max(float(request.query.get("seconds", "0")), 0.0), LONGEST_WATCH_SECONDS)
        except ValueError:
            return web.Response(status=400, text="seconds must be a number")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await proxy.places.any_taken()
        return web.json_response({"waiting": proxy.places.taken})

    app = web.Application()
    app.add_routes([web.get("/readyz", ready), web.get("/metrics", metrics), web.get("/waiting", waiting)])
    return app


def _allow_many_connections() -> None:
    """A held request is a connection, and two while it is answered."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
