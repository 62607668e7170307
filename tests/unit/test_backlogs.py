"""The operator learns of jobs from the API pods of a queue over real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from llmendpoint.runtime.backlogs import Backlogs
from llmendpoint.runtime.store import Key, Store
from llmendpoint.scaling.job_queue import Backlog
from support.builders import pod
from support.prometheus import free_port
from support.servers import answering, listening

KEY = Key("team", "llama")
EMPTY = {"queued": 0, "inProgress": 0, "oldestSeconds": 0.0}


class FakeQueue:
    """One of the API's pods, which answers what it is told to."""

    def __init__(self, name: str = "llama-queue-1") -> None:
        self.name = name
        self.port = free_port()
        self.answer: Any = EMPTY
        self.status = 200
        self.asked: asyncio.Queue[str] = asyncio.Queue()
        self.go_on = asyncio.Event()

    async def backlog(self, request: web.Request) -> web.Response:
        self.asked.put_nowait(str(request.rel_url))
        if request.query["seconds"] != "0":
            await self.go_on.wait()
        return web.json_response(self.answer, status=self.status)

    @property
    def pod(self) -> dict[str, Any]:
        body = pod(self.name, component="queue")
        ports = [{"name": "http", "containerPort": 8000}, {"name": "control", "containerPort": self.port}]
        body["spec"] = {"containers": [{"name": "queue", "ports": ports}]}
        return body


@contextlib.asynccontextmanager
async def watched(
    *queues: FakeQueue, period: float = 0.02, stale_seconds: float = 60.0
) -> AsyncIterator[tuple[Backlogs, Store, "asyncio.Queue[Key]"]]:
    store, woken = Store(), asyncio.Queue[Key]()
    async with contextlib.AsyncExitStack() as stack:
        for queue in queues:
            await stack.enter_async_context(listening(answering(queue.backlog), queue.port, handler_cancellation=True))
            store.put(queue.pod)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        backlogs = Backlogs(session, store, period=period, stale_seconds=stale_seconds)
        running = asyncio.create_task(backlogs.run(woken.put))
        backlogs.follow(KEY)
        async with asyncio.timeout(20):
            yield backlogs, store, woken
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_the_first_job_is_heard_of_at_once() -> None:
    queue = FakeQueue()
    async with watched(queue, period=25.0) as (backlogs, _, woken):
        assert await queue.asked.get() == "/backlog?seconds=0"
        assert await queue.asked.get() == "/backlog?seconds=25"
        queue.answer = {"queued": 7, "inProgress": 2, "oldestSeconds": 1.5}
        queue.go_on.set()
        assert await woken.get() == KEY
        assert backlogs.backlog(KEY) == Backlog(7, 2, 1.5)


async def test_an_empty_queue_is_known_before_the_first_job_comes() -> None:
    queue = FakeQueue()
    async with watched(queue, period=25.0) as (backlogs, _, woken):
        while backlogs.backlog(KEY) is None:
            await asyncio.sleep(0.01)
        assert (backlogs.backlog(KEY), woken.empty()) == (Backlog(0, 0, 0.0), True)


async def test_jobs_in_work_wake_nobody_and_are_known() -> None:
    queue = FakeQueue()
    queue.answer = {"queued": 0, "inProgress": 2, "oldestSeconds": 0}
    queue.go_on.set()
    async with watched(queue) as (backlogs, _, woken):
        for _ in range(3):
            await queue.asked.get()
        assert (backlogs.backlog(KEY), woken.empty()) == (Backlog(0, 2, 0.0), True)


async def test_the_pod_that_answered_last_is_believed() -> None:
    one, other = FakeQueue(), FakeQueue("llama-queue-2")
    async with watched(one, other, period=3600.0) as (backlogs, store, woken):
        for queue in (one, other, one, other):
            await queue.asked.get()
        other.answer = {**EMPTY, "queued": 3}
        other.go_on.set()
        await woken.get()
        assert backlogs.backlog(KEY) == Backlog(3, 0, 0.0)
        store.drop(other.pod)
        backlogs.follow(KEY)
        assert backlogs.backlog(KEY) == Backlog(0, 0, 0.0)


async def test_an_old_answer_is_none() -> None:
    queue = FakeQueue()
    queue.answer = {**EMPTY, "queued": 3}
    queue.go_on.set()
    async with watched(queue, stale_seconds=-1.0) as (backlogs, _, woken):
        await woken.get()
        assert backlogs.backlog(KEY) is None


@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize("answer", [{}, {"error": {"message": "no Redis"}}, {**EMPTY, "queued": "many"}, [1], None])
async def test_an_answer_without_a_backlog_is_not_an_empty_one(answer: Any, status: int) -> None:
    queue = FakeQueue()
    queue.answer, queue.status = answer, status
    queue.go_on.set()
    async with watched(queue) as (backlogs, _, woken):
        for _ in range(2):
            await queue.asked.get()
        assert (backlogs.backlog(KEY), woken.empty()) == (None, True)


async def test_numbers_stay_within_reason() -> None:
    queue = FakeQueue()
    queue.answer = {"queued": float("inf"), "inProgress": -4, "oldestSeconds": float("nan")}
    queue.go_on.set()
    async with watched(queue) as (backlogs, _, woken):
        await woken.get()
        assert backlogs.backlog(KEY) == Backlog(100_000_000, 0, 0.0)
