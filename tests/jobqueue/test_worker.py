"""What a worker makes of a Redis that was away, and of an engine that does not know it."""

import asyncio
import uuid
from typing import Any

from redis import RedisError
from redis.asyncio import Redis

from engineclient import Answer, EngineClient
from jobqueue.jobs import TakenJob
from jobqueue.metrics import WorkerMetrics
from jobqueue.options import WorkOptions, parse
from jobqueue.store import Store, Submission
from jobqueue.worker import Worker

LEASE = 0.6


class ShakyStore(Store):
    """Takes down what is asked of it, and can be out of reach for those who renew."""

    def __init__(self, redis: Redis, name: str) -> None:
        super().__init__(redis, name, 60)
        self.is_away = False
        self.looks: list[bool] = []
        self.renewed: asyncio.Queue[bool] = asyncio.Queue()

    async def take(self, *args: Any, look_for_abandoned: bool, **named: Any) -> tuple[list[TakenJob], int]:
        self.looks.append(look_for_abandoned)
        return await super().take(*args, look_for_abandoned=look_for_abandoned, **named)

    async def renew(self, *args: Any) -> set[str]:
        self.renewed.put_nowait(not self.is_away)
        if self.is_away:
            raise RedisError("away")
        return await super().renew(*args)


class SlowEngine(EngineClient):
    """Answers when it is told to."""

    def __init__(self, *statuses: int) -> None:
        super().__init__("http://not-used", api_key=None, concurrency=1, timeout=1)
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self._statuses = list(statuses)

    async def is_ready(self) -> bool:
        return True

    async def post(self, path: str, body: bytes, *, tries: int) -> Answer:
        self.begun.set()
        await self.go_on.wait()
        return Answer(self._statuses.pop(0), b"{}", "application/json", "")


def worker_of(name: str, store: Store, engine: EngineClient) -> Worker:
    arguments = [
        "work", f"--name={name}", "--engine-url=http://not-used", "--control-port=1", "--concurrency=1",
        "--timeout=60", "--max-attempts=1", "--result-ttl=60", f"--lease={LEASE}",
    ]  # fmt: skip
    options = parse(arguments, {"REDIS_URL": "redis://not-used"})
    assert isinstance(options, WorkOptions)
    return Worker(options, store, engine, WorkerMetrics())


async def submitted(store: Store) -> str:
    job_id = f"job_{uuid.uuid4().hex}"
    await store.submit(Submission(job_id, "/v1/completions", b"{}", "", "", "print"), 10)
    return job_id


async def test_a_key_that_the_engine_does_not_take_fails_no_job(redis: Redis, name: str) -> None:
    store, engine = Store(redis, name, 60), SlowEngine(401, 401, 200)
    job_id = await submitted(store)
    engine.go_on.set()
    worker = worker_of(name, store, engine)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(20):
        while (job := await store.job(job_id)) is None or job.status in {"queued", "in_progress"}:
            await asyncio.sleep(0.01)
    worker.stop()
    await running
    assert (job.status, job.attempts) == ("completed", 1)


async def test_who_could_not_renew_gives_the_others_a_lease_to_do_so(redis: Redis, name: str) -> None:
    store, engine = ShakyStore(redis, name), SlowEngine(200)
    await submitted(store)
    worker = worker_of(name, store, engine)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(20):
        await engine.begun.wait()  # its only place is taken, so that it asks Redis for nothing but to renew
        await renewed(store, False)
        await renewed(store, True)
        store.looks.clear()
        engine.go_on.set()
        while not store.looks:
            await asyncio.sleep(0.01)
        assert not store.looks[0]
        while not store.looks[-1]:
            await asyncio.sleep(0.01)
        worker.stop()
        await running


async def renewed(store: ShakyStore, success: bool) -> None:
    """Wait for the next one that does, or does not."""
    store.is_away = not success
    while await store.renewed.get() is not success:
        pass
