"""The two processes: the API with its ports, and a worker with its own, each until SIGTERM."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from redis import RedisError

from engineclient import EngineClient
from jobqueue.api import Api
from jobqueue.delivery import Delivery
from jobqueue.metrics import ApiMetrics, WorkerMetrics
from jobqueue.options import QueueOptions, ServeOptions, WorkOptions
from jobqueue.store import Store, connect
from jobqueue.worker import Worker

SHUTDOWN_SECONDS = 10.0
log = logging.getLogger(__name__)


async def serve(options: ServeOptions) -> None:
    """Take jobs until SIGTERM."""
    metrics = ApiMetrics()
    async with _store(options) as store, contextlib.AsyncExitStack() as stack:

        async def read_backlog() -> None:
            try:
                metrics.backlog = await store.backlog()
            except RedisError as error:
                log.warning("the queue can not be read: %s", error)
                metrics.backlog = None

        async def show_backlog(_: web.Request) -> web.Response:
            await read_backlog()
            if (backlog := metrics.backlog) is None:
                return web.Response(status=503, text="Redis does not answer")
            return web.json_response(
                {
                    "queued": backlog.queued,
                    "inProgress": backlog.in_progress,
                    "oldestSeconds": round(backlog.oldest_seconds, 3),
                }
            )

        control = _control(metrics.registry, read_backlog)
        control.router.add_get("/backlog", show_backlog)
        await _listen(stack, control, options.host, options.control_port)
        await _listen(stack, Api(options, store, metrics).app(), options.host, options.port)
        log.info("takes jobs of %s on port %d", options.name, options.port)
        await _sigterm()


async def work(options: WorkOptions) -> None:
    """Do jobs until SIGTERM, and what runs then within the grace time."""
    metrics = WorkerMetrics()
    async with (
        _store(options) as store,
        contextlib.AsyncExitStack() as stack,
        EngineClient(
            options.engine_url,
            health_path=options.health_path,
            api_key=options.api_key,
            concurrency=options.concurrency,
            timeout=options.timeout,
        ) as client,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        asyncio.TaskGroup() as group,
    ):
        worker = Worker(options, store, client, metrics)
        await _listen(stack, _control(metrics.registry), options.host, options.control_port)
        working = group.create_task(worker.run())
        if options.webhook_secret is not None:
            delivery = group.create_task(Delivery(store, session, options.webhook_secret, metrics).run())
            working.add_done_callback(lambda _: delivery.cancel())
        log.info("%s works for %s with %d places", worker.name, options.name, options.concurrency)
        await _sigterm()
        worker.stop()


@contextlib.asynccontextmanager
async def _store(options: QueueOptions) -> AsyncIterator[Store]:
    async with connect(options.redis_url) as redis:
        yield Store(redis, options.name, options.result_ttl)


async def _sigterm() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    log.info("ends")


async def _listen(stack: contextlib.AsyncExitStack, app: web.Application, host: str, port: int) -> None:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, host, port).start()


def _control(
    registry: CollectorRegistry, before_metrics: Callable[[], Awaitable[None]] | None = None
) -> web.Application:
    async def well(_: web.Request) -> web.Response:
        # Whether Redis answers is not asked: the API itself tells its callers, and they are to reach it for that.
        return web.Response(text="ok")

    async def show_metrics(_: web.Request) -> web.Response:
        if before_metrics is not None:
            await before_metrics()
        return web.Response(body=generate_latest(registry), headers={"Content-Type": "text/plain; version=0.0.4"})

    app = web.Application()
    app.add_routes([web.get("/readyz", well), web.get("/livez", well), web.get("/metrics", show_metrics)])
    return app
