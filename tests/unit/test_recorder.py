"""Events are written beside the reconciles: what fails to be written ends nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from llmendpoint.cluster import events
from llmendpoint.cluster.client import Cluster
from llmendpoint.cluster.errors import Unreachable
from llmendpoint.cluster.events import Recorder

ENDPOINT = {"kind": "LLMEndpoint", "metadata": {"namespace": "team", "name": "llama", "uid": "u"}}


class Written:
    """An API server that takes events, but for those of some reasons."""

    def __init__(self, **failures: Exception) -> None:
        self.reasons: list[str] = []
        self._failures = failures

    async def create(self, manifest: dict[str, Any]) -> None:
        if failure := self._failures.get(manifest["reason"]):
            raise failure
        self.reasons.append(manifest["reason"])


@asynccontextmanager
async def recording(recorder: Recorder) -> AsyncIterator[None]:
    task = asyncio.create_task(recorder.run())
    yield
    for _ in range(100):
        await asyncio.sleep(0)
    assert not task.done()
    task.cancel()


async def test_one_that_can_not_be_written_holds_up_no_other() -> None:
    written = Written(First=Unreachable("POST"), Second=OSError("the token's file is being replaced"))
    recorder = Recorder(cast("Cluster", written), instance="i")
    async with recording(recorder):
        for reason in ("First", "Second", "Third"):
            recorder.record(ENDPOINT, reason, "a note")
    assert written.reasons == ["Third"]


async def test_the_same_is_said_once() -> None:
    written = Written()
    recorder = Recorder(cast("Cluster", written), instance="i")
    async with recording(recorder):
        for note in ("a note", "a note", "another"):
            recorder.record(ENDPOINT, "Reason", note)
    assert written.reasons == ["Reason", "Reason"]


async def test_the_oldest_give_way_where_too_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_WAITING", 2)
    written = Written()
    recorder = Recorder(cast("Cluster", written), instance="i")
    for reason in ("First", "Second", "Third"):
        recorder.record(ENDPOINT, reason, "a note")
    async with recording(recorder):
        pass
    assert written.reasons == ["Second", "Third"]
