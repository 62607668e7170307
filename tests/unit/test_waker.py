"""The operator hears of waiting requests from activators over real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from llmendpoint.runtime import waker as waker_module
from llmendpoint.runtime.store import Key, Store
from llmendpoint.runtime.waker import Waker
from support.builders import pod
from support.prometheus import free_port

KEY = Key("team", "llama")


class FakeActivator:
    """Answers what it is told to."""

    def __init__(self) -> None:
        self.port = free_port()
        self.answer: Any = {"waiting": 0}
        """A text is sent as it is."""
        self.times = 0
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()

    async def waiting(self, _: web.Request) -> web.Response:
        self.times += 1
        self.asked.set()
        await self.go_on.wait()
        return web.Response(text=self.answer) if isinstance(self.answer, str) else web.json_response(self.answer)

    @property
    def pod(self) -> dict[str, Any]:
        body = pod("llama-activator-1", component="activator")
        body["spec"] = {
            "containers": [{"name": "activator", "ports": [{"name": "control", "containerPort": self.port}]}]
        }
        return body


@contextlib.asynccontextmanager
async def watched(activator: FakeActivator) -> AsyncIterator[tuple[Waker, Store, "asyncio.Queue[Key]"]]:
    app = web.Application()
    app.router.add_get("/waiting", activator.waiting)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", activator.port).start()
    store, woken = Store(), asyncio.Queue[Key]()
    store.put(activator.pod)
    async with aiohttp.ClientSession() as session:
        waker = Waker(session, store)
        running = asyncio.create_task(waker.run(woken.put))
        waker.follow(KEY)
        async with asyncio.timeout(20):
            yield waker, store, woken
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await runner.cleanup()


async def test_the_first_waiting_request_is_heard_of_at_once() -> None:
    activator = FakeActivator()
    async with watched(activator) as (waker, _, woken):
        await activator.asked.wait()
        activator.answer = {"waiting": 7}
        activator.go_on.set()
        assert await woken.get() == KEY
        assert waker.held(KEY) == 7


@pytest.mark.parametrize("has_ended", [False, True], ids=["gone", "ended, and its address may be another's"])
async def test_an_activator_that_is_gone_holds_nobody(has_ended: bool) -> None:
    activator = FakeActivator()
    activator.answer = {"waiting": 7}
    activator.go_on.set()
    async with watched(activator) as (waker, store, woken):
        await woken.get()
        if has_ended:
            ended = activator.pod
            ended["status"]["phase"] = "Failed"
            ended["metadata"]["resourceVersion"] = "2"
            store.put(ended)
        else:
            store.drop(activator.pod)
        waker.follow(KEY)
        assert waker.held(KEY) == 0


@pytest.mark.parametrize(
    ("answer", "most"),
    [
        *((nonsense, 1) for nonsense in ({"waiting": "many"}, {}, [1], None, {"waiting": float("inf")}, "[" * 1000)),
        # The first question is not to wait, so that the second is asked at once.
        ({"waiting": -3}, 2),
        ({"waiting": 0}, 2),
    ],
)
async def test_an_answer_that_makes_no_sense_wakes_nobody_and_the_next_question_waits(
    monkeypatch: pytest.MonkeyPatch, answer: Any, most: int
) -> None:
    monkeypatch.setattr(waker_module, "AGAIN_SECONDS", 3600.0)
    activator = FakeActivator()
    activator.answer = answer
    activator.go_on.set()
    async with watched(activator) as (waker, _, woken), aiohttp.ClientSession() as other:
        await activator.asked.wait()
        for _ in range(10):  # one that is in a hurry would ask in between
            async with other.get(f"http://127.0.0.1:{activator.port}/other") as answered:
                assert answered.status == 404
        assert (waker.held(KEY), woken.empty()) == (0, True)
        assert activator.times <= most
