"""Webhooks over real sockets: signed, sent again until they are taken, and to nobody else."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web

from jobqueue import delivery
from jobqueue.delivery import Delivery
from jobqueue.metrics import WorkerMetrics
from jobqueue.store import Store, Submission
from jobqueue.webhooks import signed_headers
from support.prometheus import free_port
from support.servers import answering, listening

KEY = b"k" * 32


class Receiver:
    """Answers as it was told, and takes down what it got."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)
        self.got: list[tuple[dict[str, str], bytes]] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        return web.Response(status=self._statuses.pop(0), headers={"Location": "/elsewhere"})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "PAUSES", (0.5, 0.5, 0.5))
    monkeypatch.setattr(delivery, "POLL_SECONDS", 0.01)


@contextlib.asynccontextmanager
async def delivering(store: Store) -> AsyncIterator[WorkerMetrics]:
    metrics = WorkerMetrics()
    async with aiohttp.ClientSession() as session:
        task = asyncio.create_task(Delivery(store, session, KEY, metrics).run())
        yield metrics
        task.cancel()


async def cancelled_job(store: Store, port: int, host: str = "127.0.0.1", job_id: str = "job_1") -> str:
    wanted = Submission(job_id, "/v1/completions", b"{}", f"http://{host}:{port}/hook", "", "print")
    await store.submit(wanted, 10)
    await store.cancel(wanted.id)
    return wanted.id


async def settled(store: Store) -> None:
    async with asyncio.timeout(20):
        while (await store.backlog()).webhooks:
            await asyncio.sleep(0.01)


async def given_up(metrics: WorkerMetrics) -> None:
    async with asyncio.timeout(20):
        while not counted(metrics, "given_up"):
            await asyncio.sleep(0.01)


def counted(metrics: WorkerMetrics, result: str) -> float | None:
    return metrics.registry.get_sample_value("llmendpoint_jobs_webhooks_total", {"result": result})


async def test_a_webhook_is_signed_and_sent_again_until_it_is_taken(store: Store) -> None:
    port, receiver = free_port(), Receiver(500, 302, 204)
    job_id = await cancelled_job(store, port)
    async with listening(answering(receiver.answer), port), delivering(store) as metrics:
        await settled(store)
    assert len(receiver.got) == 3
    for headers, body in receiver.got:
        sent = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        assert signed_headers(KEY, f"msg_{job_id}", body, sent).items() <= headers.items()
        assert (json.loads(body)["type"], json.loads(body)["data"]["id"]) == ("job.cancelled", job_id)
    assert (counted(metrics, "failed"), counted(metrics, "delivered")) == (2.0, 1.0)


async def test_a_receiver_that_is_gone_is_not_asked_again(store: Store) -> None:
    port, receiver = free_port(), Receiver(410)
    await cancelled_job(store, port)
    async with listening(answering(receiver.answer), port), delivering(store):
        await settled(store)
    assert len(receiver.got) == 1


async def test_a_receiver_that_never_takes_it_is_given_up(store: Store) -> None:
    await cancelled_job(store, free_port())
    async with delivering(store) as metrics:
        await given_up(metrics)
    assert (counted(metrics, "failed"), (await store.backlog()).webhooks) == (3.0, 0)


async def test_a_receiver_that_hangs_holds_up_no_other(store: Store) -> None:
    port, other_port, receiver = free_port(), free_port(), Receiver(*[204] * 100)
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        asked.set()
        await go_on.wait()
        return web.Response()

    await cancelled_job(store, port)
    async with listening(answering(hang), port), listening(answering(receiver.answer), other_port), delivering(store):
        async with asyncio.timeout(10):
            await asked.wait()
            for number in range(100):
                await cancelled_job(store, other_port, job_id=f"job_{number + 2}")
            while len(receiver.got) < 100:
                await asyncio.sleep(0.01)
        go_on.set()
        await settled(store)


async def test_a_host_of_which_there_can_be_no_address_ends_no_worker(store: Store) -> None:
    await cancelled_job(store, free_port(), host="a..example")
    async with delivering(store) as metrics:
        await given_up(metrics)
    assert (counted(metrics, "failed"), (await store.backlog()).webhooks) == (3.0, 0)
