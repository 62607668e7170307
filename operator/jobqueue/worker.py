"""Takes jobs while an engine is ready, keeps them while it answers, and gives back what it can not finish."""

import asyncio
import contextlib
import logging
import math
import socket
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ParamSpec, TypeVar

from redis import RedisError
from tenacity import AsyncRetrying, before_sleep_log, retry_if_exception_type, wait_random_exponential

from engineclient import Answer, EngineClient, EngineUnavailable, usage_of
from jobqueue.cancellation import cancel_and_wait
from jobqueue.jobs import TakenJob
from jobqueue.metrics import WorkerMetrics
from jobqueue.options import WorkOptions
from jobqueue.store import Store

# A tenth of a worker's memory: they are read at once, and so are there more than once.
HELD_BYTES = 64 * 1024 * 1024
POLL_SECONDS = 0.2
ENGINE_SECONDS = 1.0
"""How long it is believed that the engine is, or is not, ready."""
LOOK_SECONDS = 1.0
"""From one look for abandoned jobs to the next."""
GIVE_BACK_SECONDS = 4.0
UNSEEN_SECONDS = 600.0
P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Held:
    """A job that this worker has."""

    job: TakenJob
    task: "asyncio.Task[None]"


class Worker:
    """One worker.

    Args:
        client: has as many connections as this worker has places.
    """

    def __init__(self, options: WorkOptions, store: Store, client: EngineClient, metrics: WorkerMetrics) -> None:
        self.name = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
        self._options = options
        self._store = store
        self._client = client
        self._metrics = metrics
        self._held: dict[str, Held] = {}
        self._asking: set[str] = set()
        self._stopping = False
        self._wake = asyncio.Event()
        self._look_at = 0.0
        self._renewed_at = -math.inf
        self._ready_until = 0.0
        self._shut_out_until = -math.inf

    def stop(self) -> None:
        """Take nothing more, and let ``run`` end within the grace time."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Work until ``stop``."""
        async with asyncio.TaskGroup() as group:
            upkeep = [group.create_task(self._renew()), group.create_task(self._forget_workers())]
            while not self._stopping:
                await self._pause(await self._take())
            await self._finish_or_give_back()
            await cancel_and_wait(upkeep)

    async def _take(self) -> float:
        """Fill the free places. Returns the seconds until it may be of use again."""
        free = self._options.concurrency - len(self._held)
        room = HELD_BYTES - sum(len(held.job.body) for held in self._held.values())
        if not free or room <= 0:
            return POLL_SECONDS
        if not await self._engine_is_ready():
            return ENGINE_SECONDS
        now = asyncio.get_running_loop().time()
        if now < self._shut_out_until:
            return ENGINE_SECONDS
        # A worker that is late with its own jobs would take them for abandoned.
        look = now >= self._look_at and now < self._renewed_at + self._options.lease / 2
        if look:
            self._look_at = now + LOOK_SECONDS
        try:
            jobs, taken_over = await self._store.take(
                self.name,
                free,
                room=room,
                lease=self._options.lease,
                look_for_abandoned=look,
                max_attempts=self._options.max_attempts,
            )
        except RedisError as error:
            log.warning("no jobs can be taken, Redis does not answer: %s", error)
            self._look_later()
            return ENGINE_SECONDS
        self._metrics.taken_over.inc(taken_over)
        for job in jobs:
            if job.entry not in self._held:
                self._begin(job)
        return POLL_SECONDS

    def _look_later(self) -> None:
        """While Redis is away nobody can renew: whoever lives gets the time to do so first."""
        self._look_at = asyncio.get_running_loop().time() + self._options.lease

    async def _engine_is_ready(self) -> bool:
        if asyncio.get_running_loop().time() < self._ready_until:
            return True
        ready = await self._client.is_ready()
        self._metrics.engine_ready.set(ready)
        if ready:
            # From now on: SGLang takes a second to say so.
            self._ready_until = asyncio.get_running_loop().time() + ENGINE_SECONDS
        return ready

    def _begin(self, job: TakenJob) -> None:
        self._metrics.wait_seconds.observe(job.waited)
        self._held[job.entry] = Held(job, asyncio.create_task(self._do(job)))
        self._metrics.running.set(len(self._held))

    async def _do(self, job: TakenJob) -> None:
        try:
            outcome = await self._ask(job)
            if isinstance(outcome, Answer) and outcome.status == HTTPStatus.UNAUTHORIZED:
                await self._keep_for_another_key(job)
            elif isinstance(outcome, Answer):
                is_first = await self._until_redis_does(self._store.finish, job.id, outcome)
                self._metrics.attempts.labels("answered" if is_first else "too_late").inc()
            else:
                await self._until_redis_does(
                    self._store.put_back_failed, self.name, job, outcome, self._options.max_attempts
                )
        finally:
            del self._held[job.entry]
            self._metrics.running.set(len(self._held))
            self._wake.set()

    async def _keep_for_another_key(self, job: TakenJob) -> None:
        """A key that was changed must not end all jobs that wait: they are the caller's, and the key is not."""
        log.warning(
            "job %s waits: the engine does not take the key of this worker, which knows it by its start", job.id
        )
        self._metrics.attempts.labels("shut_out").inc()
        self._shut_out_until = asyncio.get_running_loop().time() + self._options.lease
        await self._until_redis_does(self._store.put_back_unfinished, self.name, job, 0.0)

    async def _ask(self, job: TakenJob) -> Answer | str:
        """The engine's answer, or why there is none."""
        self._asking.add(job.entry)
        try:
            with self._metrics.run_seconds.time():
                answer = await self._client.post(job.path, job.body, tries=1)
        except EngineUnavailable as error:
            log.warning("job %s, attempt %d: %s", job.id, job.attempt, error.reason)
            self._metrics.attempts.labels("failed").inc()
            return error.reason
        finally:
            self._asking.discard(job.entry)
        usage = usage_of(answer.body)
        self._metrics.tokens.labels("prompt").inc(usage.prompt_tokens)
        self._metrics.tokens.labels("completion").inc(usage.completion_tokens)
        return answer

    async def _renew(self) -> None:
        """Keep what is held, and stop asking for what is not wanted of this worker any more."""
        while True:
            now = asyncio.get_running_loop().time()
            try:
                lost = await self._store.renew(self.name, list(self._held))
            except RedisError as error:
                log.warning("jobs can not be renewed, Redis does not answer: %s", error)
                self._look_later()
                lost = set()
            else:
                self._renewed_at = now
            # What the engine has answered meanwhile is worth keeping, whoever has the job now.
            for entry in lost & self._asking:
                self._metrics.attempts.labels("lost").inc()
                self._held[entry].task.cancel()
            await asyncio.sleep(self._options.lease / 3)

    async def _forget_workers(self) -> None:
        while True:
            with contextlib.suppress(RedisError):
                await self._store.forget_workers(UNSEEN_SECONDS)
            await asyncio.sleep(UNSEEN_SECONDS / 10)

    async def _finish_or_give_back(self) -> None:
        held = list(self._held.values())
        if not held:
            return
        log.info("%d jobs run: they have %g s to end", len(held), self._options.grace)
        _, late = await asyncio.wait([one.task for one in held], timeout=self._options.grace)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        unfinished = [one.job for one in held if one.task in late]
        try:
            async with asyncio.timeout(GIVE_BACK_SECONDS):
                for job in unfinished:
                    await self._store.put_back_unfinished(self.name, job, self._options.lease)
                    self._metrics.attempts.labels("given_back").inc()
        except (TimeoutError, RedisError) as error:
            log.warning("not all of %d jobs were given back, others find them later: %r", len(unfinished), error)
        else:
            log.info("%d jobs were given back", len(unfinished))

    async def _until_redis_does(self, step: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **named: P.kwargs) -> T:
        """What an engine has answered is kept until Redis has it."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(RedisError),
            wait=wait_random_exponential(multiplier=0.2, max=5.0),
            before_sleep=before_sleep_log(log, logging.WARNING),
        )
        return await retrying(step, *args, **named)

    async def _pause(self, seconds: float) -> None:
        """Until a place is free, ``stop``, or so many seconds have passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()
