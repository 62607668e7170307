"""The two processes: the API with its ports, and a worker with its own, each until SIGTERM."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

from engineclient import EngineClient
from jobqueue.api import Api
from jobqueue.cancellation import cancel_and_wait
from jobqueue.control import control_of_api, control_of_worker
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
        await _listen(stack, control_of_api(store, metrics), options.host, options.control_port)
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
        await _listen(stack, control_of_worker(metrics.registry), options.host, options.control_port)
        working = group.create_task(worker.run())
        delivering = []
        if options.webhook_secret is not None:
            delivery = Delivery(store, session, options.webhook_secret, metrics)
            delivering.append(group.create_task(delivery.run()))
        log.info("%s works for %s with %d places", worker.name, options.name, options.concurrency)
        await _sigterm()
        worker.stop()
        await asyncio.wait([working])
        await cancel_and_wait(delivering)


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
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, host, port).start()
