"""The scaler's heartbeat: every replica scraped over HTTP, every endpoint decided on.

The operator's own loop runs in this process, on a store that is filled by hand, so that its processor time can be
told from that of the engines. What a decision changes is applied by reconciles, which creation and edits measure.
"""

import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

from bench import isolation, processes
from bench.figures import Figure, spread
from bench.objects import child_objects, endpoint_object, pod_object, stored
from bench.options import Skipped
from bench.run import Run
from llmendpoint.__main__ import spare_the_collector
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.metrics.exporter import Exporter
from llmendpoint.metrics.prometheus import PrometheusReader
from llmendpoint.metrics.scrape import PodScraper, scrape_session
from llmendpoint.runtime.clock import Clock
from llmendpoint.runtime.memory import Memories
from llmendpoint.runtime.queue import WorkQueue
from llmendpoint.runtime.store import Key, Store
from llmendpoint.runtime.tick import STALE_TICKS, Ticker
from llmendpoint.settings import Settings

REPLICAS = 4
WARM_UPS, TICKS = 2, 5
PERIOD_BAR = 10.0
CPU_BAR = 50.0
REQUESTS_PER_SECOND = 2.0
# One endpoint in fifty has a replica on a node that went away without a word.
LOST_EVERY = 50
SCRAPED = {"source": "Pods"}


async def measure(run: Run) -> list[Figure]:
    """Wall time, processor time and the longest standstill of the event loop."""
    spare_the_collector()
    async with fleet():
        return [
            *await ticks(run.options.endpoints, SCRAPED),
            *await ticks(run.options.endpoints, SCRAPED, lost=True),
        ]


@contextlib.asynccontextmanager
async def fleet() -> AsyncIterator[None]:
    """Engines that answer at every pod address.

    Raises:
        Skipped: this machine can not have them.
    """
    isolation.check()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bench.fleet", f"--rate={REQUESTS_PER_SECOND}"]
        async with processes.running(command, Path(folder) / "fleet.log") as process:
            await _answering()
            process.check()
            yield


async def ticks(count: int, metrics: Mapping[str, Any], *, lost: bool = False) -> list[Figure]:
    """Ticks over so many endpoints whose spec.scaling.metrics is this."""
    settings = Settings()
    exporter, store, clock = Exporter(), _filled(count, metrics, lost=lost), Clock()
    async with scrape_session() as session:
        ticker = Ticker(
            store=store,
            memories=Memories(),
            queue=WorkQueue[Key](),
            sources={
                "Pods": PodScraper(session, exporter, timeout=settings.scrape_timeout_seconds, clock=clock),
                "Prometheus": PrometheusReader(stale_seconds=STALE_TICKS * settings.tick_seconds, clock=clock),
            },
            exporter=exporter,
            quotas=_no_quotas,
            period=settings.tick_seconds,
            clock=clock,
        )
        for _ in range(WARM_UPS):
            await ticker.tick()
        walls, cpus = [], []
        with _standstills() as standstills:
            for _ in range(TICKS):
                wall, cpu = time.monotonic(), time.process_time()
                await ticker.tick()
                walls.append(time.monotonic() - wall)
                cpus.append((time.process_time() - cpu) / settings.tick_seconds * 100.0)
    signals = [look.signals for look in exporter.endpoints.looks.values()]
    read = sum(known.known for known in signals if known is not None)
    size = {"endpoints": count, "replicas": REPLICAS, "ticks": TICKS, "read": read}
    told = f"{read} of {count * REPLICAS} replicas read in the last one"
    if lost:
        note = f"a replica of every {LOST_EVERY}th endpoint never answers; {told}"
        return [Figure("tick, lost replicas", statistics.median(walls), "s", PERIOD_BAR, size | spread(walls), note)]
    return [
        Figure("tick", statistics.median(walls), "s", PERIOD_BAR, size | spread(walls), told),
        Figure("processor time", statistics.median(cpus), "% of a core", CPU_BAR, size | spread(cpus)),
        Figure("longest standstill", max(standstills) * 1e3, "ms", None, size, "processor time between two turns"),
    ]


def _filled(count: int, metrics: Mapping[str, Any], *, lost: bool) -> Store:
    store = Store()
    for index in range(count):
        body = stored(endpoint_object(f"llama-{index}", "team", REPLICAS))
        body["spec"]["scaling"]["metrics"] = metrics
        endpoint = Endpoint.from_object(body)
        store.put(body)
        for child in child_objects(endpoint, REPLICAS):
            store.put(child)
        for replica in range(REPLICAS):
            gone = lost and replica == 0 and index % LOST_EVERY == 0
            store.put(pod_object(endpoint, replica, isolation.NOBODY if gone else address(index, replica)))
    return store


def address(index: int, replica: int) -> str:
    """Where a replica of an endpoint answers."""
    number = index * REPLICAS + replica + 2
    return f"{isolation.POD_PREFIX}.{number // 256}.{number % 256}"


@contextlib.contextmanager
def _standstills() -> Iterator[list[float]]:
    """Seconds of processor time that others took between two turns of a task that always wants one."""
    taken: list[float] = []

    async def watch() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.001)
            taken.append(time.thread_time() - before)

    task = asyncio.create_task(watch())
    try:
        yield taken
    finally:
        task.cancel()


async def _no_quotas(_: str) -> list[dict[str, Any]]:
    return []


async def _answering() -> None:
    """Wait until the fleet listens."""
    for _ in range(100):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(f"{isolation.POD_PREFIX}.0.2", 8000)
            writer.close()
            return
        await asyncio.sleep(0.1)
    raise Skipped("the fleet of engines does not answer")
