"""The control ports: probes and metrics of both processes, and of the API what waits, which the operator asks."""

import asyncio
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

    async def show_backlog(request: web.Request) -> web.Response:
        """What waits; with ``seconds`` not before a job does, or that time has passed."""
        try:
            seconds = min(max(float(request.query.get("seconds", "0")), 0.0), LONGEST_WATCH_SECONDS)
        except ValueError:
            return web.Response(status=400, text="seconds must be a number")
        end = asyncio.get_running_loop().time() + seconds
        while True:
            await read_backlog()
            if (backlog := metrics.backlog) is None:
                return web.Response(status=503, text="Redis does not answer")
            left = end - asyncio.get_running_loop().time()
            if backlog.queued or left <= 0:
                oldest = round(backlog.oldest_seconds, 3)
                return web.json_response(
                    {"queued": backlog.queued, "inProgress": backlog.in_progress, "oldestSeconds": oldest}
                )
            await asyncio.sleep(min(LOOK_SECONDS, left))

    app = _control(metrics.registry, read_backlog)
    app.router.add_get("/backlog", show_backlog)
    return app


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
