"""Batches: a work queue of their own, live reads, and workers that are asked how far they are."""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import aiohttp
import structlog
from pydantic import ValidationError

from llmendpoint.api import names
from llmendpoint.api.batch import Batch, BatchStatus
from llmendpoint.api.conditions import BatchConditionType, BatchReason, Reason
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.cluster.client import Cluster
from llmendpoint.cluster.errors import ClusterError, Conflict, NotFound, NotLeading
from llmendpoint.cluster.events import Recorder
from llmendpoint.cluster.kinds import BATCH, ENDPOINT, JOB, POD
from llmendpoint.manifests.common import ManifestDefaults
from llmendpoint.metrics.exporter import Exporter
from llmendpoint.reconcile.batch_status import is_news, make_batch_status
from llmendpoint.reconcile.batch_usage import counted_usage
from llmendpoint.reconcile.batch_view import BatchPlan, BatchView, make_batch_plan, see
from llmendpoint.reconcile.trouble import Trouble
from llmendpoint.runtime.batch_workers import ask_workers
from llmendpoint.runtime.clock import Clock
from llmendpoint.runtime.queue import WorkQueue
from llmendpoint.runtime.reconciler import trouble_of
from llmendpoint.runtime.store import Key, Manifest, Store
from llmendpoint.scaling.record import epoch

log = structlog.get_logger(__name__)

WORKERS = 4
# Between two looks at a batch that goes on, and between two writes of figures alone.
PERIOD_SECONDS = 10.0
USUAL = frozenset(
    {
        BatchReason.ALL_LINES_ANSWERED,
        BatchReason.SUSPENDED,
        BatchReason.ENDPOINT_NOT_READY,
        BatchReason.WORKERS_STARTING,
        BatchReason.WORKING,
    }
)


class Batches:
    """Makes the cluster do what batches say, and tells in their status how far it is."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        session: aiohttp.ClientSession,
        store: Store,
        recorder: Recorder,
        exporter: Exporter,
        defaults: ManifestDefaults,
        answer_seconds: float,
        gpu_hour_price: float | None,
        clock: Clock,
    ) -> None:
        self._cluster = cluster
        self._answers = partial(ask_workers, session, seconds=answer_seconds)
        self._store = store
        self._recorder = recorder
        self._exporter = exporter
        self._defaults = defaults
        self._gpu_hour_price = gpu_hour_price
        self._clock = clock
        self._queue: WorkQueue[Key] = WorkQueue()
        self._written: dict[Key, float] = {}
        """When figures were last written, in seconds of the monotonic clock."""

    @property
    def longest_look(self) -> float:
        """Seconds for which the longest look at a batch goes on; many batches that wait are no fault of the process."""
        return self._queue.longest_running

    def changed(self, body: Manifest) -> None:
        """A watch says that a batch, its Job or its own endpoint is there, was changed or is gone."""
        metadata = body["metadata"]
        name = metadata["name"] if body["kind"] == names.BATCH_KIND else metadata["labels"][names.LABEL_BATCH]
        self._queue.add(Key(metadata["namespace"], name))

    async def resync(self, namespaces: Iterable[str | None]) -> None:
        """Look at all batches: a watch can miss changes. Endpoints go on where the kind was not installed.

        Raises:
            ClusterError: they could not be listed.
        """
        for namespace in namespaces:
            with contextlib.suppress(NotFound):
                async for body in self._cluster.each(BATCH, namespace):
                    self.changed(body)

    async def run(self) -> None:
        """Work for ever."""
        await asyncio.gather(*(self._work() for _ in range(WORKERS)))

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                again = await self._reconcile(key)
            except NotLeading:
                return  # nothing will be written by this process again
            except ClusterError as error:
                delay = self._queue.retry(key)
                self._exporter.reconciles.labels("error").inc()
                log.warning(
                    "batch not looked after", namespace=key.namespace, batch=key.name, error=str(error),
                    again_in=round(delay, 1),
                )  # fmt: skip
            except Exception:
                self._queue.retry(key)
                self._exporter.reconciles.labels("bug").inc()
                log.exception("batch not looked after", namespace=key.namespace, batch=key.name)
            else:
                self._queue.forget(key)
                self._exporter.reconciles.labels("ok").inc()
                if again is not None:
                    self._queue.add_after(key, again)
            finally:
                self._queue.done(key)

    async def _reconcile(self, key: Key) -> float | None:
        """Look after one batch. Returns the seconds after which to do so again, if nothing changes before.

        Raises:
            ClusterError: something could not be read or written; status says so where it could be.
        """
        body = await self._cluster.get(BATCH, *key)
        if body is None or "deletionTimestamp" in body["metadata"]:
            self._written.pop(key, None)
            return None
        try:
            batch = Batch.from_object(body)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
            note = f"the operator can not read this object, and left all as it is: {wrong}"
            self._recorder.record(body, Reason.INVALID_SPEC, note, kind="Warning")
            return None
        seen = await self._observe(batch)
        failure: ClusterError | None = None
        try:
            await self._carry_out(make_batch_plan(seen, self._defaults), seen)
        except ClusterError as error:
            failure = error
        await self._report(seen, body, trouble_of(failure) if failure else None)
        if failure:
            raise failure
        return await self._next_look(seen)

    async def _observe(self, batch: Batch) -> BatchView:
        job = await self._cluster.get(JOB, batch.namespace, batch.name)
        selector = f"{names.LABEL_BATCH}={batch.name}"
        pods = await self._cluster.list(POD, batch.namespace, selector) if job else []
        found = self._store.endpoint(Key(batch.namespace, batch.endpoint_name))
        try:
            endpoint = Endpoint.from_object(found) if found else None
        except ValidationError:
            endpoint = None  # its own events say what is wrong with it
        seen = see(batch, job, pods, endpoint, found)
        return seen if seen.is_finished else replace(seen, answers=await self._answers(seen.pods))

    async def _carry_out(self, plan: BatchPlan, seen: BatchView) -> None:
        batch = seen.batch
        for manifest in plan.creates:
            # An apply would take over what a watch has not told of yet. The next look sees whose it is.
            with contextlib.suppress(Conflict):
                await self._cluster.create(manifest, manager=names.MANAGER_CHILDREN)
                self._wrote("create", manifest["kind"], batch)
        if plan.suspend is not None:
            patch = {"spec": {"suspend": plan.suspend}}
            await self._cluster.merge_patch(JOB, batch.namespace, batch.name, patch, manager=names.MANAGER_CHILDREN)
            self._wrote("patch", JOB.kind, batch)
        if plan.removes_endpoint and seen.endpoint:
            await self._cluster.delete(ENDPOINT, batch.namespace, batch.name, uid=seen.endpoint.uid)
            self._wrote("delete", ENDPOINT.kind, batch)

    async def _report(self, seen: BatchView, body: Mapping[str, Any], failure: Trouble | None) -> None:
        batch, key, now = seen.batch, Key(seen.batch.namespace, seen.batch.name), self._clock()
        is_own = batch.spec.is_own
        usage = counted_usage(
            batch.status.usage,
            None if seen.stranger else seen.endpoint,
            counts=is_own or seen.is_working,
            is_own=is_own,
            now=now,
            price=self._gpu_hour_price,
        )
        status = make_batch_status(seen, failure, usage, now=now)
        if status.to_wire() == batch.status.to_wire():
            return
        since = time.monotonic() - self._written.get(key, -PERIOD_SECONDS)
        if since < PERIOD_SECONDS and not is_news(status, batch.status):
            return
        with contextlib.suppress(NotFound):  # deleted a moment ago
            await self._cluster.set_status(
                BATCH, batch.namespace, batch.name, batch.uid, status.to_wire(), manager=names.MANAGER_STATUS
            )
        self._wrote("patch-status", BATCH.kind, batch)
        self._written[key] = time.monotonic()
        self._tell(batch.status, status, body)

    def _tell(self, before: BatchStatus, status: BatchStatus, body: Mapping[str, Any]) -> None:
        """An event for a new state."""
        known = {entry.type: entry.reason for entry in before.conditions}
        for entry in status.conditions:
            if entry.type == BatchConditionType.PROGRESSING and known.get(entry.type) != entry.reason:
                is_usual = entry.reason in USUAL
                self._recorder.record(body, entry.reason, entry.message, kind="Normal" if is_usual else "Warning")

    async def _next_look(self, seen: BatchView) -> float | None:
        batch = seen.batch
        if not seen.is_finished:
            return None if batch.spec.suspend else PERIOD_SECONDS
        ttl, ended = batch.spec.ttl_seconds_after_finished, batch.status.completion_time
        if ttl is None or ended is None:
            return None
        left = epoch(ended) + ttl - self._clock()
        if left <= 0:
            await self._cluster.delete(BATCH, batch.namespace, batch.name, uid=batch.uid)
            self._wrote("delete", BATCH.kind, batch)
            return None
        return left

    def _wrote(self, what: str, kind: str, batch: Batch) -> None:
        self._exporter.writes.labels(what, kind).inc()
        if what != "patch-status":
            log.info("wrote for a batch", namespace=batch.namespace, batch=batch.name, what=what, kind=kind)
