"""The fence: no write leaves a process that does not lead, whatever the write is."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import web

from llmendpoint.api import names
from llmendpoint.cluster.client import Cluster
from llmendpoint.cluster.errors import NotLeading
from llmendpoint.cluster.events import Recorder
from llmendpoint.cluster.fence import Fence, uptime
from llmendpoint.cluster.kinds import ENDPOINT, POD

OBJECT = {
    "apiVersion": names.API_VERSION,
    "kind": names.KIND,
    "metadata": {"namespace": "n", "name": "a", "uid": "u", "resourceVersion": "1"},
}
WRITES: dict[str, Callable[[Cluster], Awaitable[object]]] = {
    "apply": lambda cluster: cluster.apply(OBJECT, manager="m"),
    "status": lambda cluster: cluster.set_status(ENDPOINT, "n", "a", "u", {}, manager="m"),
    "merge patch": lambda cluster: cluster.merge_patch(ENDPOINT, "n", "a", {}, manager="m"),
    "create": lambda cluster: cluster.create(OBJECT),
    "replace": lambda cluster: cluster.replace(OBJECT),
    "delete": lambda cluster: cluster.delete(POD, "n", "a"),
}


class Server:
    """Answers every request with an object, after a while if the test says so."""

    def __init__(self) -> None:
        self.methods: list[str] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def answer(self, request: web.Request) -> web.Response:
        self.methods.append(request.method)
        await self.may_answer.wait()
        return web.json_response(OBJECT)


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (tmp_path / "config").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    yield made
    await runner.cleanup()


@pytest.mark.parametrize("what", WRITES)
async def test_every_write_passes_an_open_fence_and_none_a_shut_one(server: Server, what: str) -> None:
    fence = Fence()
    async with Cluster.connect(fence) as cluster:
        with pytest.raises(NotLeading, match="does not hold the lease"):
            await WRITES[what](cluster)
        assert server.methods == []
        fence.open_until(uptime() + 60)
        await WRITES[what](cluster)
        assert len(server.methods) == 1
        fence.shut()
        fence.open_until(uptime() + 60)  # a renewal that comes too late opens nothing
        with pytest.raises(NotLeading):
            await WRITES[what](cluster)
        assert len(server.methods) == 1


async def test_reads_and_events_that_are_not_written_disturb_nobody(server: Server) -> None:
    async with Cluster.connect(Fence()) as cluster:
        assert await cluster.get(ENDPOINT, "n", "a") == OBJECT
        recorder = Recorder(cluster, instance="i")
        recorder.record(OBJECT, "Reason", "note")
        with suppress(TimeoutError):
            await asyncio.wait_for(recorder.run(), 0.1)
    assert server.methods == ["GET"]


async def test_a_fence_shuts_by_itself(server: Server) -> None:
    fence = Fence()
    async with Cluster.connect(fence) as cluster:
        fence.open_until(uptime() - 0.001)
        with pytest.raises(NotLeading):
            await cluster.create(OBJECT)
    assert server.methods == []


async def test_it_tells_when_the_last_write_is_answered(server: Server) -> None:
    fence = Fence.without_election()
    server.may_answer.clear()
    async with Cluster.connect(fence) as cluster:
        await fence.empty()
        writes = [asyncio.create_task(cluster.create(OBJECT)) for _ in range(3)]
        while len(server.methods) < 3:
            await asyncio.sleep(0)
        fence.shut()
        waiting = asyncio.create_task(fence.empty())
        await asyncio.sleep(0)
        assert not waiting.done()
        server.may_answer.set()
        await asyncio.gather(*writes)  # what was on its way may arrive
        await waiting
