"""The port for the operator and Prometheus: how far the shard is."""

import contextlib
from collections.abc import AsyncIterator, Iterator

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from batchworker.worker import Worker

Family = CounterMetricFamily | GaugeMetricFamily


class ShardMetrics(Collector):
    """The shard's counts. They go on where an earlier process of it stopped."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def collect(self) -> Iterator[Metric]:
        """As of now."""
        said = {name: float(value or 0) for name, value in self._worker.report.items()}
        lines = CounterMetricFamily("llmendpoint_batch_lines", "Lines that are done.", labels=["result"])
        lines.add_metric(["completed"], said["completed"])
        lines.add_metric(["failed"], said["failed"])
        tokens = CounterMetricFamily("llmendpoint_batch_tokens", "Tokens of completed lines.", labels=["kind"])
        tokens.add_metric(["prompt"], said["promptTokens"])
        tokens.add_metric(["completion"], said["completionTokens"])
        yield lines
        yield tokens
        yield GaugeMetricFamily("llmendpoint_batch_shard_lines", "Lines of the shard.", value=said["lines"])
        yield GaugeMetricFamily(
            "llmendpoint_batch_lines_per_second", "Over the last minute.", value=said["linesPerSecond"]
        )


@contextlib.asynccontextmanager
async def listening(worker: Worker, host: str, port: int) -> AsyncIterator[None]:
    """Answer within the block."""
    registry = CollectorRegistry()
    registry.register(ShardMetrics(worker))

    async def ready(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def progress(_: web.Request) -> web.Response:
        return web.json_response(worker.report)

    app = web.Application()
    app.add_routes([web.get("/readyz", ready), web.get("/metrics", metrics), web.get("/progress", progress)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()
