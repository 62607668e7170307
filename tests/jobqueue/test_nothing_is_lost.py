"""The proof: workers that are killed again and again, and a Redis that is, lose no job and end none twice."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from redis import Redis, RedisError

from jobqueue.store import Store, connect
from support.prometheus import running_simulator
from support.queues import NAME, RESULT_TTL, Queue, QueueProcess, queue, wait_until
from support.redis_servers import RedisServer, running_redis

JOBS, KILLS, WORKERS = 5000, 50, 4
JOBS_OF_RESTART = 600
BODY = json.dumps({"model": "tiny", "prompt": "word " * 20, "max_tokens": 8}).encode()
VLLM = ("vllm", "serve", "acme/llama", "--served-model-name", "tiny")
ENGINE = {"ENGINESIM_ITERATION_SECONDS": "0.01", "ENGINESIM_PER_SEQUENCE_SECONDS": "0"}
SUBMITTING = 32


@dataclass(frozen=True)
class Outcome:
    """What became of all jobs."""

    ended: dict[str, int]
    """As the script counted that ends them."""
    statuses: set[str]
    attempts: int
    open: int


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """Of its own: it is killed."""
    with running_redis(tmp_path) as server:
        yield server


@pytest.fixture
def some(tmp_path: Path, redis_server: RedisServer) -> Iterator[Queue]:
    with (
        running_simulator(tmp_path, *VLLM, **ENGINE) as engine,
        queue(tmp_path, redis_server.url, f"http://{engine.address}") as one,
    ):
        one.serve()
        wait_until(lambda: one.api.is_well, 60, "the API listens")
        yield one


async def submit_all(url: str, count: int) -> set[str]:
    """The ids of so many jobs. Each is sent, with a key of its own, until it was taken."""
    numbers = iter(range(count))
    ids: set[str] = set()

    async def submit_some(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            while True:
                async with session.post(
                    f"{url}/v1/completions", data=BODY, headers={"Idempotency-Key": f"key-{number}"}
                ) as answer:
                    if answer.status == 202:
                        ids.add((await answer.json())["id"])
                        break
                    assert answer.status == 503, await answer.text()
                await asyncio.sleep(0.2)

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(submit_some(session) for _ in range(SUBMITTING)))
    return ids


async def outcome(redis_url: str, ids: set[str]) -> Outcome:
    async with connect(redis_url) as redis:
        store = Store(redis, NAME, RESULT_TTL)
        jobs = [await store.job(job_id) for job_id in ids]
        backlog = await store.backlog()
    assert all(one is not None and one.answer is not None and b'"usage"' in one.answer.body for one in jobs)
    return Outcome(
        ended=dict(backlog.ended),
        statuses={one.status for one in jobs if one is not None},
        attempts=sum(one.attempts for one in jobs if one is not None),
        open=backlog.queued + backlog.in_progress,
    )


def completed(redis: Redis) -> int:
    return int(redis.hget(f"{{llmendpoint:{NAME}}}:ended", "completed") or 0)  # type: ignore[arg-type]


def busy(some: Queue, redis: Redis) -> list[QueueProcess]:
    """Workers that have jobs, as Redis knows them."""
    consumers = redis.xinfo_consumers(f"{{llmendpoint:{NAME}}}:jobs", "workers")
    names = {one["name"].decode() for one in consumers if one["pending"]}
    return [worker for worker in some.workers if worker.name in names]


def kill_busy_workers(some: Queue, redis: Redis, start: Callable[[], QueueProcess]) -> None:
    """Kill so many, spread over the jobs; each has jobs at that time, and another one comes for it."""
    chance = random.Random(1)
    for number in range(1, KILLS + 1):
        wait_until(lambda number=number: completed(redis) > number * JOBS // (KILLS + 1), 60, "more is done")  # type: ignore[misc]
        found: list[QueueProcess] = []
        wait_until(lambda found=found: found.extend(busy(some, redis)) or bool(found), 60, "a worker has jobs")  # type: ignore[misc]
        victim = chance.choice(found)
        victim.kill()
        some.workers.remove(victim)
        start()


async def test_workers_killed_50_times_lose_none_of_5000_jobs_and_end_none_twice(
    some: Queue, redis_server: RedisServer
) -> None:
    began = time.monotonic()

    def start() -> QueueProcess:
        return some.work("--lease=2", "--max-attempts=50")

    for _ in range(WORKERS):
        start()
    with Redis.from_url(redis_server.url) as redis:
        killing = asyncio.create_task(asyncio.to_thread(kill_busy_workers, some, redis, start))
        ids = await submit_all(some.url, JOBS)
        await killing
        await asyncio.to_thread(wait_until, lambda: completed(redis) >= JOBS, 60, "all is done")
    found = await outcome(redis_server.url, ids)
    print(
        f"{JOBS} jobs, {KILLS} kills: {found.ended}, begun {found.attempts} times, {time.monotonic() - began:.0f} s",
        flush=True,
    )
    assert len(ids) == JOBS
    assert found.statuses == {"completed"}
    assert found.ended == {"completed": JOBS}
    assert found.open == 0
    assert found.attempts >= JOBS + KILLS


async def test_a_redis_that_is_killed_and_comes_back_has_all_jobs(some: Queue, redis_server: RedisServer) -> None:
    for _ in range(2):
        some.work("--lease=2", "--max-attempts=50", "--concurrency=4")
    submitting = asyncio.create_task(submit_all(some.url, JOBS_OF_RESTART))
    with Redis.from_url(redis_server.url) as redis:
        for part in (1, 2, 3):
            wanted = part * JOBS_OF_RESTART // 4
            await asyncio.to_thread(wait_until, lambda wanted=wanted: completed(redis) >= wanted, 60, "more is done")  # type: ignore[misc]
            redis_server.kill()
            with pytest.raises(RedisError):
                redis.ping()
            await asyncio.sleep(1.0)
            redis_server.start()
        ids = await submitting
        await asyncio.to_thread(wait_until, lambda: completed(redis) >= JOBS_OF_RESTART, 60, "all is done")
    found = await outcome(redis_server.url, ids)
    assert len(ids) == JOBS_OF_RESTART
    assert found.statuses == {"completed"}
    assert found.ended == {"completed": JOBS_OF_RESTART}
    assert found.open == 0
