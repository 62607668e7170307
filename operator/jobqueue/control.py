"""The control ports: probes and metrics of both processes, and of the API what waits, which the operator asks."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from redis import RedisError

from jobqueue.metrics import ApiMetrics
from jobqueue.store import Store

LONGEST_WATCH_SECONDS = 60.0
LOOK_SECONDS = 0.5
log = logging.getLogger(__name__)


def control_of_worker(registry: CollectorRegistry) -> web.Application:
    """Probes and metrics."""

    async def nothing() -> None:
        pass

    return _control(registry, nothing)


def control_of_api(store: Store, metrics: ApiMetrics) -> web.Application:
    """Probes, metrics and the backlog."""

    async def read_backlog() -> None:
        try:
            metrics.backlog = await store.backlog()
        except RedisError as error:
            log.warning("the queue can not be read: %s", error)
            metrics.backlog = None

    ends = asyncio.Event()

    async def show_backlog(request: web.Request) -> web.Response:
        """What waits; with ``seconds`` not before a job does, that time has passed, or this process ends."""
        end = asyncio.get_running_loop().time() + _seconds(request)
        while True:
            await read_backlog()
            if (backlog := metrics.backlog) is None:
                return web.Response(status=503, text="Redis does not answer")
            left = end - asyncio.get_running_loop().time()
            if backlog.queued or left <= 0 or ends.is_set():
                oldest = round(backlog.oldest_seconds, 3)
                return web.json_response(
                    {"queued": backlog.queued, "inProgress": backlog.in_progress, "oldestSeconds": oldest}
                )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(LOOK_SECONDS, left)):
                    await ends.wait()

    async def end_watches(_: web.Application) -> None:
        ends.set()

    app = _control(metrics.registry, read_backlog)
    app.router.add_get("/backlog", show_backlog)
    app.on_shutdown.append(end_watches)
    return app


def _seconds(request: web.Request) -> float:
    try:
        seconds = float(request.query.get("seconds", "0"))
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= LONGEST_WATCH_SECONDS:
        raise web.HTTPBadRequest(text=f"seconds must be a number from 0 to {LONGEST_WATCH_SECONDS:g}")
    return seconds


def _control(registry: CollectorRegistry, before_metrics: Callable[[], Awaitable[None]]) -> web.Application:
    async def well(_: web.Request) -> web.Response:
        # Whether Redis answers is not asked: the API itself tells its callers, and they are to reach it for that.
        return web.Response(text="ok")

    async def show_metrics(_: web.Request) -> web.Response:
        await before_metrics()
        return web.Response(body=generate_latest(registry), headers={"Content-Type": "text/plain; version=0.0.4"})

    app = web.Application()
    app.add_routes([web.get("/readyz", well), web.get("/livez", well), web.get("/metrics", show_metrics)])
    return app
