"""The client of an engine over real sockets: an engine that is not there yet, is busy, breaks off, and answers."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from aiohttp import web

from engineclient import EngineClient, EngineUnavailable, Usage, usage_of
from engineclient.answers import retry_after
from engineclient.client import Sleep
from support.prometheus import free_port
from support.servers import answering, engine, listening

CHAT = "/v1/chat/completions"
BODY = json.dumps({"model": "tiny", "messages": [], "max_tokens": 3}).encode()


class Pauses:
    """Takes down how long the client would have slept."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        await asyncio.sleep(0)


class Scripted:
    """An engine that gives one answer after the other, the last one for ever."""

    def __init__(self, *answers: web.Response) -> None:
        self._answers = list(answers)
        self.asked: list[web.Request] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        wanted = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return web.Response(status=wanted.status, body=wanted.body, headers=wanted.headers)


@contextlib.asynccontextmanager
async def client_of(port: int, pauses: Sleep | None = None, *, timeout: float = 10.0) -> AsyncIterator[EngineClient]:
    async with EngineClient(
        f"http://127.0.0.1:{port}", api_key="sk-1", concurrency=8, timeout=timeout, sleep=pauses or Pauses()
    ) as client:
        yield client


async def test_an_engine_s_answer_comes_back_with_its_tokens() -> None:
    port = free_port()
    async with engine(port), client_of(port) as client:
        answer = await client.post(CHAT, BODY, tries=1)
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert usage_of(answer.body) == Usage(prompt_tokens=1, completion_tokens=3)


async def test_the_engine_gets_the_body_as_it_is_the_key_and_an_id_for_its_log() -> None:
    got = b""

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal got
        got = await request.read()
        return web.json_response(
            {}, headers={"X-Request-Id": f"{request.headers['Authorization']} {request.headers['X-Request-Id']}"}
        )

    port = free_port()
    async with listening(answering(handler), port), client_of(port) as client:
        answer = await client.post(CHAT, BODY, tries=1)
    assert got == BODY
    assert answer.request_id.startswith("Bearer sk-1 ")


@pytest.mark.parametrize("status", [400, 401, 404, 409, 413, 422, 501])
async def test_a_refusal_that_would_come_again_is_the_answer(status: int) -> None:
    scripted = Scripted(web.Response(status=status, body=b"no"))
    port = free_port()
    async with listening(answering(scripted.answer), port), client_of(port) as client:
        answer = await client.post(CHAT, BODY, tries=5)
    assert (answer.status, answer.body, len(scripted.asked)) == (status, b"no", 1)


@pytest.mark.parametrize("status", [408, 425, 500, 502, 504])
async def test_an_engine_that_failed_is_asked_again(status: int) -> None:
    scripted, pauses = Scripted(web.Response(status=status), web.Response(status=200)), Pauses()
    port = free_port()
    async with listening(answering(scripted.answer), port), client_of(port, pauses) as client:
        assert (await client.post(CHAT, BODY, tries=2)).status == 200
    assert len(pauses.taken) == 1


async def test_the_last_try_s_answer_is_told_when_all_were_in_vain() -> None:
    scripted = Scripted(web.Response(status=500, body=b"broken"))
    port = free_port()
    async with listening(answering(scripted.answer), port), client_of(port) as client:
        with pytest.raises(EngineUnavailable, match="the engine answered 500: broken") as error:
            await client.post(CHAT, BODY, tries=3)
    assert error.value.status == 500
    assert len(scripted.asked) == 3


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_engine_has_not_begun_so_that_no_try_is_used_up(status: int) -> None:
    busy, pauses = [web.Response(status=status)] * 20, Pauses()
    scripted = Scripted(*busy, web.Response(status=200))
    port = free_port()
    async with listening(answering(scripted.answer), port), client_of(port, pauses) as client:
        assert (await client.post(CHAT, BODY, tries=1)).status == 200
    assert len(pauses.taken) == 20
    assert max(pauses.taken) <= 60.0


async def test_pauses_grow_and_stay_below_their_bound() -> None:
    scripted, pauses = Scripted(web.Response(status=500)), Pauses()
    port = free_port()
    async with listening(answering(scripted.answer), port), client_of(port, pauses) as client:
        with pytest.raises(EngineUnavailable):
            await client.post(CHAT, BODY, tries=12)
    bounds = [min(2.0**number, 60.0) for number in range(11)]
    assert all(0 <= pause <= bound for pause, bound in zip(pauses.taken, bounds, strict=True))
    assert max(pauses.taken) > 1.0


async def test_retry_after_is_kept_to() -> None:
    busy = web.Response(status=429, headers={"Retry-After": "120"})
    scripted, pauses = Scripted(busy, web.Response(status=200)), Pauses()
    port = free_port()
    async with listening(answering(scripted.answer), port), client_of(port, pauses) as client:
        await client.post(CHAT, BODY, tries=2)
    assert pauses.taken == [120.0]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("Thu, 26 Nov 2026 00:01:00 GMT", 60.0),
        ("Thu, 26 Nov 2026 00:01:00 -0000", 60.0),
        ("Wed, 25 Nov 2026 00:00:00 GMT", 0.0),
        ("soon", 0.0),
        ("", 0.0),
        (None, 0.0),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(value: str | None, seconds: float) -> None:
    assert retry_after(value, datetime(2026, 11, 26, tzinfo=UTC)) == seconds


async def test_an_engine_that_breaks_off_is_asked_again() -> None:
    asked = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        assert request.transport is not None
        if asked == 1:
            request.transport.abort()
        return web.json_response({"asked": asked})

    port = free_port()
    async with listening(answering(handler), port), client_of(port) as client:
        assert json.loads((await client.post(CHAT, BODY, tries=2)).body) == {"asked": 2}
        asked = 0
        with pytest.raises(EngineUnavailable, match="broke off") as error:
            await client.post(CHAT, BODY, tries=1)
    assert error.value.status is None


async def test_each_try_has_an_id_of_its_own() -> None:
    scripted = Scripted(web.Response(status=500), web.Response(status=503), web.Response(status=200))
    port = free_port()
    async with listening(answering(scripted.answer), port), client_of(port) as client:
        await client.post(CHAT, BODY, tries=2)
    assert len({request.headers["X-Request-Id"] for request in scripted.asked}) == 3


async def test_an_engine_that_takes_too_long_has_failed_that_try() -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    port = free_port()
    async with listening(answering(handler), port), client_of(port, timeout=0.05) as client:
        with pytest.raises(EngineUnavailable, match=r"did not answer within 0.05 s"):
            await client.post(CHAT, BODY, tries=2)


async def test_whom_nobody_could_reach_has_not_been_asked() -> None:
    refused, is_up, often = 0, asyncio.Event(), asyncio.Event()

    async def pause(_: float) -> None:
        nonlocal refused
        refused += 1
        if refused == 20:
            often.set()
            await is_up.wait()

    port = free_port()
    async with client_of(port, pause) as client:
        asked = asyncio.create_task(client.post(CHAT, BODY, tries=1))
        await often.wait()
        async with engine(port):
            is_up.set()
            assert (await asked).status == 200


async def test_an_engine_is_ready_when_its_health_is() -> None:
    port = free_port()
    async with client_of(port) as client:
        assert not await client.is_ready()
        async with listening(answering(Scripted(web.Response(status=503)).answer), port):
            assert not await client.is_ready()
        async with engine(port):
            assert await client.is_ready()


async def test_the_health_is_asked_while_every_connection_is_taken() -> None:
    go_on, taken = asyncio.Event(), asyncio.Semaphore(0)

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == CHAT:
            taken.release()
            await go_on.wait()
        return web.Response()

    port = free_port()
    async with listening(answering(handler), port), client_of(port) as client:
        asked = [asyncio.create_task(client.post(CHAT, BODY, tries=1)) for _ in range(8)]
        for _ in asked:
            await taken.acquire()
        assert await client.is_ready()
        go_on.set()
        await asyncio.gather(*asked)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b'"text"', b'{"usage": null}', b'{"usage": {"prompt_tokens": "x"}}',
        b'{"usage": {"prompt_tokens": -1}}', b'{"usage": {"completion_tokens": true}}', b"[" * 100_000,
    ],
    ids=lambda body: body[:40].decode(),
)  # fmt: skip
def test_an_answer_without_usage_has_no_tokens(body: bytes) -> None:
    assert usage_of(body) == Usage()


async def test_a_client_that_was_not_entered_says_so() -> None:
    client = EngineClient("http://127.0.0.1:1", api_key=None, concurrency=1, timeout=1)
    with pytest.raises(RuntimeError, match="async with"):
        await client.post(CHAT, BODY, tries=1)
