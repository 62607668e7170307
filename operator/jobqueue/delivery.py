"""Sends webhooks until they are taken, each worker a few at a time."""

import asyncio
import logging
from datetime import UTC, datetime
from http import HTTPStatus

import aiohttp
from redis import RedisError

from jobqueue.jobs import Job
from jobqueue.metrics import WorkerMetrics
from jobqueue.store import Store
from jobqueue.webhooks import message, signed_headers

POLL_SECONDS = 1.0
AT_ONCE = 64
TIMEOUT_SECONDS = 15.0
PAUSES = (30.0, 120.0, 600.0, 1800.0, 7200.0)
"""Seconds after each try in which it may be taken; the first is longer than a try may take."""
log = logging.getLogger(__name__)


class Delivery:
    """Of one worker.

    Args:
        key: with which messages are signed.
    """

    def __init__(self, store: Store, session: aiohttp.ClientSession, key: bytes, metrics: WorkerMetrics) -> None:
        self._store = store
        self._session = session
        self._key = key
        self._metrics = metrics

    async def run(self) -> None:
        """Send what is due, without end. Who is slow to take one holds up no other as long as places are free."""
        sending: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                due = await self._due(AT_ONCE - len(sending))
                for job_id in due:
                    task = group.create_task(self._send(job_id))
                    sending.add(task)
                    task.add_done_callback(sending.discard)
                if len(sending) == AT_ONCE:
                    await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
                else:
                    await asyncio.sleep(POLL_SECONDS)

    async def _due(self, count: int) -> list[str]:
        try:
            due, given_up = await self._store.due_webhooks(count, PAUSES)
        except RedisError as error:
            log.warning("webhooks wait, Redis does not answer: %s", error)
            return []
        self._metrics.webhooks.labels("given_up").inc(given_up)
        return due

    async def _send(self, job_id: str) -> None:
        try:
            job = await self._store.job(job_id)
            if job is not None and job.webhook is not None and await self._is_taken(job, job.webhook):
                await self._store.settle_webhook(job_id)
        except RedisError as error:
            log.warning("webhook of job %s is sent again later, Redis does not answer: %s", job_id, error)

    async def _is_taken(self, job: Job, url: str) -> bool:
        """Send it once."""
        now = datetime.now(UTC)
        body = message(job, now)
        headers = {"Content-Type": "application/json", **signed_headers(self._key, f"msg_{job.id}", body, now)}
        try:
            async with self._session.post(
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
            ) as answer:
                # One that is gone wants no more.
                taken = answer.status < HTTPStatus.MULTIPLE_CHOICES or answer.status == HTTPStatus.GONE
                why = f"it answered {answer.status}"
        except (aiohttp.ClientError, OSError, ValueError) as error:  # the last of a name that can not be looked up
            taken, why = False, repr(error)
        self._metrics.webhooks.labels("delivered" if taken else "failed").inc()
        if not taken:
            log.warning("webhook of job %s was not taken: %s", job.id, why)
        return taken
