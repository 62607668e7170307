"""The operator hears over real sockets what loaders of adapters say, each change once."""

import asyncio
from typing import Any

import aiohttp
from aiohttp import web

from llmendpoint.runtime.adapters import Adapters
from llmendpoint.runtime.store import Key, Store
from support.builders import pod
from support.prometheus import free_port
from support.servers import answering, listening

KEY = Key("team", "llama")


def told(state: str, message: str = "") -> dict[str, Any]:
    return {"name": "sql", "source": "hf://acme/sql", "revision": None, "state": state, "message": message}


async def test_a_change_is_heard_at_once_and_what_stays_is_not_told_again() -> None:
    port, answer, changed = free_port(), {"adapters": [told("Loading")]}, asyncio.Event()
    asked: asyncio.Queue[str] = asyncio.Queue()

    async def adapters(request: web.Request) -> web.Response:
        asked.put_nowait(request.query["seconds"])
        if request.query["seconds"] != "0":
            await changed.wait()
            changed.clear()
        return web.json_response(answer)

    body = pod("llama-engine-1")
    ports = [{"name": "control", "containerPort": port}]
    body["spec"] = {"containers": [{"name": "engine", "ports": []}, {"name": "adapters", "ports": ports}]}
    store, woken = Store(), asyncio.Queue[Key]()
    store.put(body)
    async with (
        asyncio.timeout(20),
        listening(answering(adapters), port, handler_cancellation=True),
        aiohttp.ClientSession() as session,
    ):
        watch = Adapters(session, store)
        running = asyncio.create_task(watch.run(woken.put))
        assert watch.reports(KEY) == {}
        watch.follow(KEY)
        assert await woken.get() == KEY
        assert [one.state for one in watch.reports(KEY)["llama-engine-1"]] == ["Loading"]
        # Of many packets.
        answer["adapters"] = [told("Failed", "x" * 400) for _ in range(60)]
        changed.set()
        assert await woken.get() == KEY
        assert [one.state for one in watch.reports(KEY)["llama-engine-1"]] == ["Failed"] * 60
        assert [await asked.get(), await asked.get()] == ["0", "25"]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
