"""A relay in front of an API server: it tells what one client asked for, and cuts it off when the test says so."""

import asyncio
import ssl
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import aiohttp
import yaml
from aiohttp import web

from support.api import credentials

T = TypeVar("T")
SESSION = web.AppKey("session", aiohttp.ClientSession)
Mode = Literal["open", "swallow", "refuse"]
HOP_BY_HOP = {"Transfer-Encoding", "Content-Length", "Content-Encoding", "Connection", "Host"}


@dataclass(frozen=True)
class Asked:
    """One request."""

    at: float
    """By time.monotonic()."""
    method: str
    path: str
    is_watch: bool

    @property
    def is_of_lease(self) -> bool:
        return "/coordination.k8s.io/" in self.path

    @property
    def is_write(self) -> bool:
        return self.method != "GET"


class Relay:
    """Forwards to the API server of a kubeconfig.

    Attributes:
        mode: ``swallow`` takes requests and never answers, as a network does that loses all packets; ``refuse`` closes
            each connection.
        asked: every request that came, forwarded or not.
    """

    def __init__(self, url: str, kubeconfig: Path) -> None:
        self.mode: Mode = "open"
        self.asked: list[Asked] = []
        self.kubeconfig = kubeconfig
        self.url = url

    def since(self, moment: float) -> list[Asked]:
        return [asked for asked in self.asked if asked.at >= moment]

    async def forward(self, request: web.Request) -> web.StreamResponse:
        session = request.app[SESSION]
        self.asked.append(Asked(time.monotonic(), request.method, request.path, "watch" in request.query))
        body = await request.read()
        await self._let_through(request)
        headers = {name: value for name, value in request.headers.items() if name not in HOP_BY_HOP}
        async with session.request(
            request.method, f"{self.url}{request.raw_path}", headers=headers, data=body or None
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name not in HOP_BY_HOP}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await self._let_through(request)
            with suppress(aiohttp.ClientConnectionResetError):  # the client has gone
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await self._let_through(request)
                    await response.write(chunk)
            return response

    async def _let_through(self, request: web.Request) -> None:
        while self.mode == "swallow":
            await asyncio.sleep(0.05)
        if self.mode == "refuse" and request.transport:
            request.transport.abort()


@contextmanager
def running_relay(kubeconfig: Path, directory: Path) -> Iterator[Relay]:
    """A relay on loopback, in a thread of its own; its kubeconfig leads through it."""
    known = yaml.safe_load(kubeconfig.read_text())
    url = known["clusters"][0]["cluster"]["server"]
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def in_thread(coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(30)

    relay = Relay(url, directory / "relay.yaml")
    runner, session = in_thread(_started(relay, credentials(known, directory)))
    port = runner.addresses[0][1]
    known["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{port}"}
    known["users"][0]["user"] = {}
    relay.kubeconfig.write_text(yaml.safe_dump(known))
    try:
        yield relay
    finally:
        in_thread(runner.cleanup())
        in_thread(session.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _started(relay: Relay, credentials: ssl.SSLContext) -> tuple[web.AppRunner, aiohttp.ClientSession]:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=credentials),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
    )
    app = web.Application(client_max_size=2**24)
    app[SESSION] = session
    app.router.add_route("*", "/{path:.*}", relay.forward)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, session
