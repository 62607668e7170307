"""What the queue promises, on a real Redis: nothing is lost, nothing ends twice, nobody has to be awake for it."""

import asyncio
import dataclasses
import uuid
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from engineclient import Answer
from jobqueue.jobs import TakenJob
from jobqueue.store import Store, Submission, connect
from support.prometheus import free_port
from support.redis_servers import RedisServer, running_redis
from support.servers import forwarding

SHORT, LONG = 0.02, 1000.0
MOST = 3
ANSWER = Answer(200, b'{"choices": []}', "application/json", "req-1")


def submission(**changes: str) -> Submission:
    wanted = Submission(f"job_{uuid.uuid4().hex}", "/v1/completions", b'{"prompt": "hi"}', "", "", "print")
    return dataclasses.replace(wanted, **changes)  # type: ignore[arg-type]


async def submitted(store: Store, **changes: str) -> str:
    outcome, job_id = await store.submit(submission(**changes), 100)
    assert outcome == "queued"
    return job_id


async def take(
    store: Store, count: int = 10, *, worker: str = "one", lease: float = LONG, room: int = 1_000_000
) -> list[TakenJob]:
    taken, _ = await store.take(
        worker, count, room=room, lease=lease, look_for_abandoned=True, max_attempts=MOST
    )  # fmt: skip
    return taken


async def take_abandoned(store: Store, worker: str) -> TakenJob:
    """The first job whose short lease has passed."""
    async with asyncio.timeout(10):
        while not (taken := await take(store, worker=worker, lease=SHORT)):
            await asyncio.sleep(SHORT / 4)
    return taken[0]


async def status(store: Store, job_id: str) -> str:
    job = await store.job(job_id)
    assert job is not None
    return job.status


async def test_a_job_is_taken_as_it_was_sent_and_has_its_answer_in_the_end(store: Store) -> None:
    job_id = await submitted(store)
    (taken,) = await take(store)
    assert (taken.id, taken.path, taken.body, taken.attempt) == (job_id, "/v1/completions", b'{"prompt": "hi"}', 1)
    assert await status(store, job_id) == "in_progress"
    assert await store.finish(job_id, ANSWER)
    job = await store.job(job_id)
    assert job is not None
    assert (job.status, job.answer, job.attempts) == ("completed", ANSWER, 1)
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.created_at <= job.started_at <= job.finished_at


async def test_the_oldest_is_taken_first_and_no_more_than_there_are_places(store: Store) -> None:
    ids = [await submitted(store) for _ in range(5)]
    assert [job.id for job in await take(store, 2)] == ids[:2]
    assert [job.id for job in await take(store, 9)] == ids[2:]
    assert await take(store, 9) == []


async def test_no_more_is_taken_than_the_worker_has_memory_for(store: Store) -> None:
    ids = [(await store.submit(dataclasses.replace(submission(), body=b"x" * 100), 100))[1] for _ in range(5)]
    assert [job.id for job in await take(store, room=200)] == ids[:2]
    assert [job.id for job in await take(store, room=1)] == [ids[2]]
    assert await take(store, room=0) == []
    await asyncio.sleep(2 * SHORT)
    assert [job.id for job in await take(store, worker="other", lease=SHORT, room=150)] == ids[:2]


async def test_the_first_answer_stands(store: Store) -> None:
    job_id = await submitted(store)
    await take(store)
    assert await store.finish(job_id, ANSWER)
    assert not await store.finish(job_id, dataclasses.replace(ANSWER, body=b"another"))
    job = await store.job(job_id)
    assert job is not None
    assert job.answer == ANSWER
    assert (await store.backlog()).ended == {"completed": 1}


async def test_an_engine_s_refusal_is_a_failed_job_with_a_response(store: Store) -> None:
    job_id = await submitted(store)
    await take(store)
    await store.finish(job_id, Answer(400, b'{"error": {}}', "application/json", "req-1"))
    job = await store.job(job_id)
    assert job is not None
    assert job.to_json()["response"] == {"status_code": 400, "request_id": "req-1", "body": {"error": {}}}
    assert job.to_json()["error"]["code"] == "engine_refused"


async def test_what_a_dead_worker_had_is_another_s_after_the_lease(store: Store) -> None:
    job_id = await submitted(store)
    await take(store, worker="dead")
    assert await take(store, worker="other", lease=LONG) == []
    taken = await take_abandoned(store, "other")
    assert (taken.id, taken.attempt) == (job_id, 2)


async def test_what_is_renewed_stays_with_its_worker(store: Store, redis: Redis, name: str) -> None:
    await submitted(store)
    (taken,) = await take(store)
    # As if the lease had passed long ago.
    jobs = f"{{llmendpoint:{name}}}:jobs"
    await redis.xclaim(jobs, "workers", "one", 0, [taken.entry], idle=500_000, justid=True)
    assert await store.renew("one", [taken.entry]) == set()
    assert await take(store, worker="other", lease=100.0) == []


async def test_a_worker_that_comes_to_itself_hears_that_its_job_was_taken_over(store: Store) -> None:
    await submitted(store)
    (taken,) = await take(store, worker="slow")
    await take_abandoned(store, "other")
    assert await store.renew("slow", [taken.entry]) == {taken.entry}
    assert await store.renew("other", [taken.entry]) == set()


async def test_a_job_at_which_workers_die_is_buried(store: Store, redis: Redis, name: str) -> None:
    job_id = await submitted(store)
    await take(store, worker="first")
    for worker in ("second", "third"):
        await take_abandoned(store, worker)
    async with asyncio.timeout(10):
        while await status(store, job_id) != "failed":
            assert await take(store, worker="fourth", lease=SHORT) == []
            await asyncio.sleep(SHORT)
    job = await store.job(job_id)
    assert job is not None
    assert (job.attempts, job.error_code) == (MOST, "attempts_used_up")
    ((_, dead),) = await redis.xrange(f"{{llmendpoint:{name}}}:dead")
    assert dead[b"id"].decode() == job_id
    assert b"died" in dead[b"reason"]
    assert (await store.backlog()).in_progress == 0


async def test_a_failed_attempt_is_followed_by_another_a_lease_later_until_all_are_used_up(store: Store) -> None:
    job_id = await submitted(store)
    (taken,) = await take(store, worker="one")
    for attempt in range(1, MOST):
        assert taken.attempt == attempt
        await store.put_back_failed("one", taken, "the engine answered 500", MOST)
        assert await status(store, job_id) == "queued"
        assert await take(store, worker="one", lease=LONG) == []
        taken = await take_abandoned(store, "one")
    await store.put_back_failed("one", taken, "the engine answered 500", MOST)
    job = await store.job(job_id)
    assert job is not None
    assert job.to_json()["error"] == {"code": "attempts_used_up", "message": "the engine answered 500"}
    assert (job.attempts, job.to_json()["response"]) == (MOST, None)


async def test_what_an_ending_worker_gives_back_is_another_s_at_once_and_no_attempt_is_lost(store: Store) -> None:
    job_id = await submitted(store)
    (taken,) = await take(store, worker="ending")
    await store.put_back_unfinished("ending", taken, LONG)
    assert await status(store, job_id) == "queued"
    (again,) = await take(store, worker="other", lease=LONG)
    assert (again.id, again.attempt) == (job_id, 1)


async def test_nobody_gives_back_what_is_another_s(store: Store) -> None:
    job_id = await submitted(store)
    (taken,) = await take(store, worker="slow")
    await take_abandoned(store, "other")
    await store.put_back_failed("slow", taken, "too late", MOST)
    await store.put_back_unfinished("slow", taken, LONG)
    job = await store.job(job_id)
    assert job is not None
    assert (job.status, job.attempts) == ("in_progress", 2)


async def test_a_cancelled_job_is_never_taken(store: Store) -> None:
    job_id = await submitted(store)
    assert await store.cancel(job_id)
    assert await take(store) == []
    assert await status(store, job_id) == "cancelled"
    assert not await store.cancel(job_id)


async def test_a_job_that_is_cancelled_while_it_runs_takes_no_answer(store: Store) -> None:
    job_id = await submitted(store)
    (taken,) = await take(store)
    assert await store.cancel(job_id)
    assert await store.renew("one", [taken.entry]) == {taken.entry}
    assert not await store.finish(job_id, ANSWER)
    await store.put_back_failed("one", taken, "broken off", MOST)
    assert await status(store, job_id) == "cancelled"


async def test_no_more_wait_than_the_bound(store: Store) -> None:
    assert [(await store.submit(submission(), 2))[0] for _ in range(3)] == ["queued", "queued", "full"]
    await take(store, 1)
    assert (await store.submit(submission(), 2))[0] == "queued"


async def test_the_same_key_and_request_are_one_job(store: Store) -> None:
    first = await submitted(store, idempotency_digest="key")
    assert await store.submit(submission(idempotency_digest="key"), 100) == ("repeated", first)
    assert await store.submit(submission(idempotency_digest="key", fingerprint="x"), 100) == ("conflict", first)
    assert len(await take(store)) == 1


async def test_a_repeated_request_is_known_in_a_full_queue_too(store: Store) -> None:
    first = await submitted(store, idempotency_digest="key")
    assert await store.submit(submission(idempotency_digest="key"), 1) == ("repeated", first)


async def test_a_submission_that_the_client_library_sent_twice_is_one_job(store: Store) -> None:
    wanted = submission()
    assert [await store.submit(wanted, 100) for _ in range(2)] == [("queued", wanted.id)] * 2
    assert (await store.backlog()).queued == 1


async def test_ended_jobs_and_their_keys_go_after_a_time_and_open_ones_stay(
    store: Store, redis: Redis, name: str
) -> None:
    job_id = await submitted(store, idempotency_digest="key")
    keys = [f"{{llmendpoint:{name}}}:job:{job_id}", f"{{llmendpoint:{name}}}:idempotency:key"]
    assert [await redis.ttl(key) for key in keys] == [-1, -1]
    await take(store)
    await store.finish(job_id, ANSWER)
    assert {3590 < await redis.ttl(key) <= 3600 for key in keys} == {True}
    assert not await redis.hexists(keys[0], "body")


async def test_the_backlog_says_what_waits_what_runs_and_for_how_long(store: Store) -> None:
    empty = await store.backlog()
    assert (empty.queued, empty.in_progress, empty.oldest_seconds) == (0, 0, 0.0)
    for _ in range(3):
        await submitted(store)
    await take(store, 1)
    await asyncio.sleep(0.01)
    backlog = await store.backlog()
    assert (backlog.queued, backlog.in_progress) == (2, 1)
    assert 0.01 <= backlog.oldest_seconds < 10
    for job in await take(store):
        await store.finish(job.id, ANSWER)
    assert (await store.backlog()).oldest_seconds == 0.0


async def test_a_redis_that_lost_everything_is_a_queue_again(store: Store, redis: Redis, name: str) -> None:
    lost = await submitted(store)
    (taken,) = await take(store)
    for key in await redis.keys(f"{{llmendpoint:{name}}}:*"):
        await redis.delete(key)
    assert await store.renew("one", [taken.entry]) == {taken.entry}
    assert not await store.finish(lost, ANSWER)
    assert (await store.backlog()).queued == 0
    job_id = await submitted(store)
    assert [job.id for job in await take(store)] == [job_id]


async def test_a_webhook_is_due_again_after_each_pause_until_it_is_settled_or_given_up(store: Store) -> None:
    delivered, given_up = [await submitted(store, webhook="https://a.example/") for _ in range(2)]
    for job in await take(store):
        await store.finish(job.id, ANSWER)
    due, _ = await store.due_webhooks(10, (0.0, 0.0))
    assert sorted(due) == sorted([delivered, given_up])
    await store.settle_webhook(delivered)
    assert await store.due_webhooks(10, (0.0, 0.0)) == ([given_up], 0)
    assert await store.due_webhooks(10, (0.0, 0.0)) == ([], 1)
    assert (await store.backlog()).webhooks == 0


async def test_a_webhook_is_not_sent_twice_at_once(store: Store) -> None:
    job_id = await submitted(store, webhook="https://a.example/")
    await store.cancel(job_id)
    assert await store.due_webhooks(10, (100.0,)) == ([job_id], 0)
    assert await store.due_webhooks(10, (100.0,)) == ([], 0)


async def test_workers_that_are_gone_are_forgotten_but_not_what_they_had(store: Store, redis: Redis, name: str) -> None:
    for _ in range(2):
        await submitted(store)
    await take(store, 1, worker="holds")
    (done,) = await take(store, 1, worker="idle")
    await store.finish(done.id, ANSWER)
    await store.forget_workers(1000.0)
    assert await names(redis, name) == {"holds", "idle"}
    await asyncio.sleep(0.01)
    await store.forget_workers(0.0)
    assert await names(redis, name) == {"holds"}


async def names(redis: Redis, name: str) -> set[str]:
    found: list[dict[str, Any]] = await redis.xinfo_consumers(f"{{llmendpoint:{name}}}:jobs", "workers")
    return {one["name"].decode() for one in found}


async def test_a_redis_without_memory_takes_no_job_and_still_ends_those_that_it_has(store: Store, redis: Redis) -> None:
    answered, cancelled, given_back = [await submitted(store) for _ in range(3)]
    await redis.config_set("maxmemory", "1")
    try:
        assert await store.submit(submission(), 100) == ("full", "")
        taken = await take(store)
        assert await store.finish(answered, ANSWER)
        assert await store.cancel(cancelled)
        await store.put_back_failed("one", taken[2], "broken off", MOST)
    finally:
        await redis.config_set("maxmemory", "0")
    assert [await status(store, job_id) for job_id in (answered, cancelled, given_back)] == [
        "completed", "cancelled", "queued",
    ]  # fmt: skip


async def test_after_a_failover_nobody_stays_with_what_is_a_replica_now(
    redis_server: RedisServer, name: str, tmp_path: Path
) -> None:
    port = free_port()
    with running_redis(tmp_path) as before:
        leads_to = [before.port]
        async with forwarding(port, leads_to), connect(f"redis://127.0.0.1:{port}/0") as redis:
            store = Store(redis, name, 60)
            await submitted(store)
            await redis.replicaof("127.0.0.1", str(free_port()))
            leads_to[0] = redis_server.port
            await submitted(store)
            assert (await store.backlog()).queued == 1
