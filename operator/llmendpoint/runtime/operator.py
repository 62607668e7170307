"""The running operator: store, queue, workers, tick and resync put together."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import aiohttp
import structlog
from opentelemetry import trace

from llmendpoint.api import names
from llmendpoint.cluster.client import Cluster
from llmendpoint.cluster.errors import ClusterError, NotLeading
from llmendpoint.cluster.events import Recorder
from llmendpoint.cluster.fence import Fence
from llmendpoint.cluster.kinds import CHILDREN, ENDPOINT, POD, QUOTA
from llmendpoint.manifests import ManifestDefaults
from llmendpoint.metrics.exporter import Exporter
from llmendpoint.metrics.prometheus import PrometheusReader
from llmendpoint.metrics.scrape import PodScraper, scrape_session
from llmendpoint.runtime.adapters import Adapters
from llmendpoint.runtime.backlogs import Backlogs
from llmendpoint.runtime.batches import Batches
from llmendpoint.runtime.clock import Clock
from llmendpoint.runtime.fetches import Fetches
from llmendpoint.runtime.memory import Memories
from llmendpoint.runtime.queue import WorkQueue
from llmendpoint.runtime.reconciler import Reconciler
from llmendpoint.runtime.served_kinds import ServedKinds
from llmendpoint.runtime.store import Key, Manifest, Store
from llmendpoint.runtime.tick import STALE_TICKS, Ticker
from llmendpoint.runtime.waker import Waker
from llmendpoint.settings import Settings

log = structlog.get_logger(__name__)
TRACER = trace.get_tracer(__name__)

# A key that waits this long means that no worker gets anything done.
STUCK_SECONDS = 180.0
# Pods that start change a dozen times within seconds, and their Deployment with them: one look at all of it will do.
GATHER_SECONDS = 0.5
# A listing that failed is tried again after this long, whatever the resync period.
RETRY_SECONDS = 5.0


class Operator:
    """What the event handlers feed and the probes ask."""

    def __init__(
        self,
        settings: Settings,
        cluster: Cluster,
        session: aiohttp.ClientSession,
        *,
        instance: str,
        exporter: Exporter,
    ) -> None:
        self.exporter = exporter
        self.store = Store()
        self._settings = settings
        self._cluster = cluster
        self._queue: WorkQueue[Key] = WorkQueue(waited=self.exporter.queue_seconds.observe)
        self.exporter.watch(self._queue)
        self.exporter.workers.set(settings.workers)
        cluster.answered = self.exporter.answered
        self._namespaces = settings.watch_namespaces or (None,)
        self.served_kinds = ServedKinds(cluster, self.store, self._namespaces)
        self._synced_at: float | None = None
        self._synced = asyncio.Event()
        memories, clock = Memories(), Clock()
        self._recorder = Recorder(cluster, instance=instance)
        defaults = ManifestDefaults(
            settings.engine_images,
            settings.engine_image_override,
            settings.activator_image,
            settings.queue_image,
            settings.redis_image,
            settings.allow_privileged_pod_templates,
            batch_image=settings.batch_image,
            fetch_image=settings.fetch_image,
        )
        self._fetches = Fetches(session, self.store)
        self._adapters = Adapters(session, self.store)
        self._reconciler = Reconciler(
            cluster=cluster,
            store=self.store,
            memories=memories,
            recorder=self._recorder,
            exporter=self.exporter,
            defaults=defaults,
            adapters=self._adapters.reports,
            gpu_hour_price=settings.price_per_gpu_hour,
            clock=clock,
            fetched=self._fetches.progress,
        )
        self.batches = Batches(
            cluster=cluster,
            session=session,
            store=self.store,
            recorder=self._recorder,
            exporter=self.exporter,
            defaults=defaults,
            answer_seconds=settings.scrape_timeout_seconds,
            gpu_hour_price=settings.price_per_gpu_hour,
            clock=clock,
        )
        stale_seconds = STALE_TICKS * settings.tick_seconds
        self._waker = Waker(session, self.store)
        self._backlogs = Backlogs(session, self.store, period=settings.tick_seconds, stale_seconds=stale_seconds)
        self._ticker = Ticker(
            store=self.store,
            memories=memories,
            queue=self._queue,
            sources={
                "Pods": PodScraper(session, self.exporter, timeout=settings.scrape_timeout_seconds, clock=clock),
                "Prometheus": PrometheusReader(stale_seconds=stale_seconds, clock=clock),
            },
            exporter=self.exporter,
            quotas=partial(cluster.list, QUOTA),
            held=self._waker.held,
            backlog=self._backlogs.backlog,
            period=settings.tick_seconds,
            gpu_hour_price=settings.price_per_gpu_hour,
            clock=clock,
        )

    @classmethod
    @asynccontextmanager
    async def running(
        cls, settings: Settings, fence: Fence, *, instance: str, exporter: Exporter
    ) -> AsyncIterator["Operator"]:
        """An operator with all its loops running; they end with the block. What it writes passes the fence."""
        async with Cluster.connect(fence) as cluster, scrape_session() as session:
            operator = cls(settings, cluster, session, instance=instance, exporter=exporter)
            loops = [
                asyncio.create_task(operator._resync_for_ever()),
                *(asyncio.create_task(operator._work()) for _ in range(settings.workers)),
                asyncio.create_task(operator._ticker.run()),
                asyncio.create_task(operator._recorder.run()),
                asyncio.create_task(operator._look_after_batches()),
                asyncio.create_task(operator._waker.run(operator._ticker.wake)),
                asyncio.create_task(operator._backlogs.run(operator._ticker.wake)),
                asyncio.create_task(operator._fetches.run(operator._look_again)),
                asyncio.create_task(operator._adapters.run(operator._look_again)),
            ]
            try:
                yield operator
            finally:
                for loop in loops:
                    loop.cancel()
                await asyncio.gather(*loops, return_exceptions=True)

    def changed(self, body: Manifest) -> None:
        """A watch says that an object is there or was changed."""
        self._tell_batch(body)
        self._enqueue(self.store.put(body), 0.0 if body["kind"] == names.KIND else GATHER_SECONDS)

    def deleted(self, body: Manifest) -> None:
        """A watch says that an object is gone."""
        self._tell_batch(body)
        self._enqueue(self.store.drop(body), 0.0)

    async def synchronised(self) -> None:
        """Wait until everything was listed once, which needs the CRD to be there."""
        await self._synced.wait()

    @property
    def is_ready(self) -> bool:
        """Whether the state of the cluster is known."""
        return self._synced_at is not None

    @property
    def is_alive(self) -> bool:
        """Whether work gets done: the queue moves and the last resync is not three periods old."""
        if self._synced_at is None:
            return True
        overdue = time.monotonic() - self._synced_at > 3 * self._settings.resync_seconds
        return not overdue and max(self._queue.oldest_wait, self.batches.longest_look) < STUCK_SECONDS

    def _tell_batch(self, body: Manifest) -> None:
        # Engines of a batch's own are waited for, and paid while they wait.
        if names.LABEL_BATCH in (body["metadata"].get("labels") or {}):
            self.batches.changed(body)

    def _enqueue(self, key: Key | None, seconds: float) -> None:
        # Before the first listing the picture is incomplete, and the listing enqueues everything anyway.
        if key is None or not self.is_ready:
            return
        if seconds:
            self._queue.add_after(key, seconds)
        else:
            self._queue.add(key)

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            started = time.monotonic()
            try:
                # First: who waits is heard where a reconcile fails, because a child is refused say.
                self._waker.follow(key)
                self._backlogs.follow(key)
                self._fetches.follow(key)
                self._adapters.follow(key)
                with TRACER.start_as_current_span("reconcile", attributes=_attributes(key)):
                    await self._reconciler.reconcile(key)
            except NotLeading:
                return  # nothing will be written by this process again
            except ClusterError as error:
                delay = self._queue.retry(key)
                self.exporter.reconciles.labels("error").inc()
                log.warning(
                    "reconcile failed", namespace=key.namespace, endpoint=key.name, error=str(error),
                    again_in=round(delay, 1),
                )  # fmt: skip
            except Exception:
                self._queue.retry(key)
                self.exporter.reconciles.labels("bug").inc()
                log.exception("reconcile failed", namespace=key.namespace, endpoint=key.name)
            else:
                self._queue.forget(key)
                self.exporter.reconciles.labels("ok").inc()
            finally:
                self._queue.done(key)
                self.exporter.reconcile_seconds.observe(time.monotonic() - started)

    async def _look_again(self, key: Key) -> None:
        self._queue.add(key)

    async def _look_after_batches(self) -> None:
        # Before the first listing their endpoints would not seem to be there.
        await self._synced.wait()
        await self.batches.run()

    async def _resync_for_ever(self) -> None:
        while True:
            pause = RETRY_SECONDS
            try:
                await self._resync()
                pause = self._settings.resync_seconds
            except ClusterError as error:
                self.served_kinds.doubt()
                self.exporter.resyncs.labels("error").inc()
                log.warning("resync failed", error=str(error), again_in=pause)
            except Exception:
                self.exporter.resyncs.labels("bug").inc()
                log.exception("resync failed")
            await self.served_kinds.changed_within(pause)

    async def _resync(self) -> None:
        """Replace the store by what the API server has: a watch can miss deletions."""
        await self.served_kinds.ask()
        self.store.begin_listing()
        for namespace in self._namespaces:
            for kind in (ENDPOINT, *CHILDREN, *self.served_kinds.kinds, POD):
                selector = "" if kind is ENDPOINT else names.LABEL_ENDPOINT
                async for body in self._cluster.each(kind, namespace, selector):
                    self.store.add_listed(body)
        keys = self.store.end_listing()
        await self.batches.resync(self._namespaces)
        self._synced_at = time.monotonic()
        self._synced.set()
        self.exporter.resynced()
        for key in keys:
            self._queue.add(key)


def _attributes(key: Key) -> dict[str, str]:
    """A span's, by the conventions of OpenTelemetry for Kubernetes."""
    return {"k8s.namespace.name": key.namespace, "llmendpoint.name": key.name}
