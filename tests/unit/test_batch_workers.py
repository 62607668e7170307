"""The operator asks workers over real sockets, and waits for none that does not answer."""

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from llmendpoint.reconcile.batch_progress import Progress
from llmendpoint.runtime.batch_workers import ask_workers
from support.builders import batch_pod
from support.prometheus import free_port
from support.servers import answering, listening

FIGURES = {"lines": 10, "completed": 4, "failed": 1, "linesPerSecond": 2.5}


async def said(answer: web.StreamResponse | None, *pods: dict[str, Any], seconds: float = 10) -> Mapping[str, Progress]:
    """What is heard of pods that give an answer, or none."""

    async def progress(_: web.Request) -> web.StreamResponse:
        return answer or await asyncio.Event().wait()

    port = free_port()
    async with (
        listening(answering(progress), port, handler_cancellation=True),
        aiohttp.ClientSession() as session,
    ):
        return await ask_workers(session, pods, seconds=seconds, port=port)


async def test_running_workers_are_asked_and_no_others() -> None:
    starting = batch_pod(1, "Pending")
    del starting["status"]["podIP"]
    ended = batch_pod(2, "Succeeded", code=0)
    heard = await said(web.json_response(FIGURES), batch_pod(0), starting, ended)
    assert heard == {"march-0-1": Progress(lines=10, completed=4, failed=1, lines_per_second=2.5)}


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(text="not yet", status=503),
        web.Response(text="[" * 100_000),
        web.Response(status=302, headers={"Location": "/progress"}),
        None,
    ],
    ids=["an error", "nonsense without end", "elsewhere", "nothing"],
)
async def test_what_is_no_answer_is_left_out(answer: web.Response | None) -> None:
    assert await said(answer, batch_pod(0), seconds=10 if answer else 0.2) == {}


async def test_a_worker_that_is_gone_is_left_out() -> None:
    async with aiohttp.ClientSession() as session:
        assert await ask_workers(session, [batch_pod(0)], seconds=10, port=free_port()) == {}
