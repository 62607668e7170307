"""The queue in Redis: each step is one script, so that nothing is ever half done."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import OutOfMemoryError, ReadOnlyError

from engineclient import Answer
from jobqueue.jobs import READ, Backlog, Job, TakenJob, ending

SOCKET_SECONDS = 5.0
CONNECTIONS = 32
SCRIPTS = Path(__file__).with_name("lua")
Outcome = Literal["queued", "repeated", "conflict", "full"]


@dataclass(frozen=True)
class Submission:
    """A job to be."""

    id: str
    path: str
    body: bytes
    webhook: str
    """Empty without one."""
    idempotency_digest: str
    """Of the caller's key; empty without one."""
    fingerprint: str
    """Equal for equal requests only."""


def connect(url: str) -> Redis:
    """A client that gets over a broken connection by itself, but not over a Redis that is away."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=SOCKET_SECONDS,
        socket_timeout=SOCKET_SECONDS,
        socket_connect_timeout=SOCKET_SECONDS,
        retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), 2),
        retry_on_error=[ReadOnlyError],  # a replica since a failover: the name may lead to another by now
    )
    return Redis.from_pool(pool)


class Store:
    """One endpoint's jobs.

    Every method raises ``redis.RedisError`` where Redis is away or does not do what it was asked.

    Args:
        name: namespace/name of the endpoint.
        result_ttl: seconds that an ended job is kept.
    """

    def __init__(self, redis: Redis, name: str, result_ttl: int) -> None:
        self._redis = redis
        self._prefix = f"{{llmendpoint:{name}}}:"
        self._ttl = result_ttl
        shared = (SCRIPTS / "shared.lua").read_text()
        self._scripts = {
            path.stem: redis.register_script(shared + path.read_text())
            for path in SCRIPTS.glob("*.lua")
            if path.stem != "shared"
        }

    async def submit(self, wanted: Submission, max_queued: int) -> tuple[Outcome, str]:
        """Put a job in the queue. Returns what became of it, and its id, or that of the earlier one that it repeats."""
        try:
            outcome, job_id = await self._run(
                "submit",
                wanted.id,
                wanted.path,
                wanted.body,
                wanted.webhook,
                wanted.idempotency_digest,
                wanted.fingerprint,
                max_queued,
            )
        except OutOfMemoryError:
            return "full", ""
        return outcome.decode(), job_id.decode()

    async def job(self, job_id: str) -> Job | None:
        """A job; None where there is none, or no longer."""
        values = await self._redis.hmget(f"{self._prefix}job:{job_id}", READ)
        return Job.from_redis(job_id, cast("list[bytes | None]", values))  # nothing is decoded

    async def cancel(self, job_id: str) -> bool:
        """End a job that has no answer; False where it has, or is none."""
        return bool(await self._run("cancel", job_id, self._ttl))

    async def take(
        self, worker: str, count: int, *, room: int, lease: float, look_for_abandoned: bool, max_attempts: int
    ) -> tuple[list[TakenJob], int]:
        """At most so many jobs for a worker, and how many of them others had abandoned.

        Args:
            room: bytes of bodies after which no other job is taken.
        """
        taken, taken_over = await self._run(
            "take", worker, count, _milliseconds(lease), int(look_for_abandoned), max_attempts, self._ttl, room
        )
        return [
            TakenJob(entry.decode(), job_id.decode(), path.decode(), body, attempt, waited / 1000)
            for entry, job_id, path, body, attempt, waited in taken
        ], taken_over

    async def renew(self, worker: str, entries: Iterable[str]) -> set[str]:
        """Say that a worker still has these. Returns those that it has no longer."""
        return {entry.decode() for entry in await self._run("renew", worker, *entries)}

    async def finish(self, job_id: str, answer: Answer) -> bool:
        """Keep a job's answer; False where it has one already, was cancelled, or is none."""
        status, kept = ending(answer)
        pairs = [part for pair in kept.items() for part in pair]
        return bool(await self._run("finish", job_id, status, self._ttl, *pairs))

    async def put_back_failed(self, worker: str, job: TakenJob, reason: str, max_attempts: int) -> None:
        """End an attempt that failed. After the last one so has the job, else the next comes after a lease."""
        await self._put_back(worker, job, 0.0, counts=True, max_attempts=max_attempts, reason=reason)

    async def put_back_unfinished(self, worker: str, job: TakenJob, passed: float) -> None:
        """Give a job back that nothing is wrong with: no attempt is counted.

        Args:
            passed: seconds of its lease that count as over. After a whole one another worker may have it at once.
        """
        await self._put_back(worker, job, passed, counts=False, max_attempts=0, reason="")

    async def backlog(self) -> Backlog:
        """What is to be done."""
        queued, in_progress, oldest, webhooks, ended = await self._run("backlog")
        by_status = {status.decode(): int(count) for status, count in zip(ended[::2], ended[1::2], strict=True)}
        return Backlog(queued, in_progress, oldest / 1000, webhooks, by_status)

    async def due_webhooks(self, count: int, pauses: Sequence[float]) -> tuple[list[str], int]:
        """Jobs whose webhook is to be sent now, and how many were given up.

        Each is due again after the next of ``pauses``, until ``settle_webhook``.
        """
        ids, given_up = await self._run("due", count, *map(_milliseconds, pauses))
        return [job_id.decode() for job_id in ids], given_up

    async def settle_webhook(self, job_id: str) -> None:
        """Nothing more is to be sent for a job."""
        await self._redis.zrem(f"{self._prefix}webhooks", job_id)

    async def forget_workers(self, unseen_seconds: float) -> None:
        """Remove the names of workers that have no job and were not seen for so long."""
        await self._run("tidy", _milliseconds(unseen_seconds))

    async def _put_back(
        self, worker: str, job: TakenJob, idle: float, *, counts: bool, max_attempts: int, reason: str
    ) -> None:
        await self._run(
            "put_back", worker, job.entry, job.id, _milliseconds(idle), int(counts), max_attempts, self._ttl, reason
        )

    async def _run(self, script: str, *arguments: str | bytes | int) -> Any:
        return await self._scripts[script](keys=[self._prefix], args=arguments)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
