"""The activator over real sockets: an engine that is not there yet, comes up, refuses, breaks off."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from activator import proxy
from activator.options import Options, parse
from activator.server import Activator, running
from support.prometheus import free_port
from support.servers import answering, engine, listening

OPERATOR = Path(__file__).resolve().parents[2] / "operator"
REQUESTS = 200
CHAT = "/v1/chat/completions"


class Site:
    """An activator, the port at which its engine will be, and a client."""

    def __init__(self, options: Options, engine_port: int, client: aiohttp.ClientSession, activator: Activator) -> None:
        self.options, self.engine_port, self.client, self.activator = options, engine_port, client, activator
        self.url = f"http://127.0.0.1:{options.routes[0][0]}"
        self.control = f"http://127.0.0.1:{options.control_port}"

    def ask(self, **body: Any) -> "asyncio.Task[tuple[int, str, str]]":
        """Status, Retry-After or content type, and text of an answer to come."""
        return asyncio.create_task(self._ask({"model": "tiny", "messages": [], "max_tokens": 3, **body}))

    async def _ask(self, body: dict[str, Any]) -> tuple[int, str, str]:
        async with self.client.post(self.url + CHAT, json=body) as answer:
            about = answer.headers.get("Retry-After") or answer.headers["Content-Type"]
            return answer.status, about, await answer.text()

    async def waiting(self, count: int) -> None:
        """Return when so many wait."""
        async with asyncio.timeout(20):
            while self.activator.proxy.places.taken != count:
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def site(engine_host: str = "127.0.0.1", **options: Any) -> AsyncIterator[Site]:
    front, engine = free_port(), free_port()
    given = {"max_requests": 1000, "timeout": 60.0, "health_path": "/health", **options}
    told = Options(((front, f"http://{engine_host}:{engine}"),), free_port(), host="127.0.0.1", **given)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client,
        running(told) as activator,
    ):
        yield Site(told, engine, client, activator)


async def is_taken(client: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with client.get(url):
            return True
    except aiohttp.ClientConnectionError:
        return False


async def test_all_that_wait_are_answered_once_an_engine_is_there_streams_as_streams() -> None:
    async with site() as some:
        asked = [some.ask(stream=bool(number % 2)) for number in range(REQUESTS)]
        await some.waiting(REQUESTS)
        async with engine(some.engine_port):
            answers = await asyncio.gather(*asked)
        assert {status for status, _, _ in answers} == {200}
        for number, (_, kind, text) in enumerate(answers):
            if number % 2:
                assert kind.startswith("text/event-stream")
                assert text.count('"content"') == 3
                assert text.endswith("data: [DONE]\n\n")
            else:
                assert json.loads(text)["usage"]["completion_tokens"] == 3
        assert some.activator.proxy.places.taken == 0
        async with some.client.get(f"{some.control}/metrics") as metrics:
            assert f'llmendpoint_activator_requests_total{{result="answered"}} {REQUESTS}.0' in await metrics.text()


async def test_a_client_does_not_stay_with_it() -> None:
    async with site() as some, engine(some.engine_port), some.client.get(f"{some.url}/v1/models") as answer:
        assert answer.headers["Connection"] == "close"


async def test_tokens_come_one_by_one() -> None:
    go_on = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one")
        await go_on.wait()
        await response.write(b"two")
        return response

    async with (
        site() as some,
        listening(answering(slow), some.engine_port),
        some.client.get(some.url) as answer,
    ):
        assert await answer.content.readany() == b"one"
        go_on.set()
        assert await answer.content.read() == b"two"


async def test_what_the_engine_is_asked_is_what_the_client_asked() -> None:
    seen: list[tuple[str, str, dict[str, str], bytes]] = []

    async def echo(request: web.Request) -> web.StreamResponse:
        seen.append((request.method, request.raw_path, dict(request.headers), await request.read()))
        return web.Response(status=418, headers={"X-Engine": "yes"}, text="no coffee")

    headers = {"Authorization": "Bearer key", "Keep-Alive": "5", "Connection": "keep-alive, X-Hop", "X-Hop": "1"}
    async with site() as some, listening(answering(echo), some.engine_port):
        url = f"{some.url}/v1/a%2Fb?c=%20d"
        async with some.client.put(aiohttp.client.URL(url, encoded=True), data=b"body", headers=headers) as answer:
            assert (answer.status, answer.headers["X-Engine"], await answer.text()) == (418, "yes", "no coffee")
        host = some.url.removeprefix("http://")
    ((method, path, got, body),) = seen
    assert (method, path, body) == ("PUT", "/v1/a%2Fb?c=%20d", b"body")
    assert (got["Host"], got["Authorization"], got["Content-Length"]) == (host, "Bearer key", "4")
    assert not {"Keep-Alive", "X-Hop"} & got.keys()


async def test_a_body_is_passed_on_as_it_came() -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        assert request.headers["Content-Encoding"] == "gzip"
        assert "Expect" not in request.headers
        return web.Response(body=await request.read())

    async def chunks() -> AsyncIterator[bytes]:
        yield b"not really"
        yield b" gzip"

    headers = {"Content-Encoding": "gzip"}
    async with site() as some, listening(answering(echo), some.engine_port, auto_decompress=False):
        for body in (b"not really gzip", chunks()):
            async with some.client.post(some.url, data=body, headers=headers, expect100=True) as answer:
                assert await answer.read() == b"not really gzip"


async def test_a_client_gets_no_other_clients_cookies() -> None:
    seen: list[str | None] = []

    async def session(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "session=mine"})

    # By a name: a jar keeps no cookies of an address.
    async with site(engine_host="localhost") as some, listening(answering(session), some.engine_port):
        for cookie in ({"Cookie": "a=1"}, {}):
            async with some.client.get(some.url, headers=cookie) as answer:
                assert answer.headers["Set-Cookie"] == "session=mine"
    assert seen == ["a=1", None]


async def test_past_the_bound_and_past_the_time_the_answer_is_503_as_openai_says_it() -> None:
    async with site(max_requests=2, timeout=1.0) as some:
        held = [some.ask(), some.ask()]
        await some.waiting(2)
        full = await some.ask()
        late = await asyncio.gather(*held)
    for status, retry_after, text in (full, *late):
        assert (status, int(retry_after)) == (503, 10)
        assert json.loads(text)["error"].keys() == {"message", "type", "param", "code"}
    assert "2 requests wait already" in full[2]
    assert all("did not start within 1 s" in text for _, _, text in late)


async def test_a_client_that_goes_frees_its_place() -> None:
    async with site(max_requests=1) as some:
        first = some.ask()
        await some.waiting(1)
        first.cancel()
        await some.waiting(0)
        second = some.ask()
        await some.waiting(1)
        async with engine(some.engine_port):
            assert (await second)[0] == 200


async def test_bodies_are_bounded_together() -> None:
    async with site(max_bytes=100) as some:
        assert (await some.ask(messages=["long" * 100]))[0] == 503
        short = some.ask()
        await some.waiting(1)
        short.cancel()
        await some.waiting(0)


async def test_a_body_counts_while_it_arrives_and_not_before() -> None:
    async def long_and_not_done() -> AsyncIterator[bytes]:
        yield b"long" * 100
        await asyncio.Event().wait()

    async with site(max_bytes=100) as some:
        async with asyncio.timeout(20), some.client.post(some.url, data=long_and_not_done()) as answer:
            assert answer.status == 503
        _, writer = await asyncio.open_connection("127.0.0.1", some.options.routes[0][0])
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n")
        await some.waiting(1)
        short = some.ask()
        await some.waiting(2)
        short.cancel()
        writer.close()
        await some.waiting(0)


async def test_a_body_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "LARGEST_BODY", 100)
    async with site() as some:
        assert (await some.ask(messages=["long" * 100]))[0] == 413


async def test_an_engine_that_refuses_or_breaks_off_is_asked_again() -> None:
    times = 0

    async def moody(request: web.Request) -> web.StreamResponse:
        nonlocal times
        times += 1
        if times == 1:
            return web.Response(status=429)
        if times == 2:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(text="ok") if times > 3 else web.Response(status=503)

    async with site() as some, listening(answering(moody), some.engine_port):
        assert (await some.ask())[0] == 200
    assert times == 4


async def test_a_request_that_brings_engines_down_is_given_up() -> None:
    times = 0

    async def fragile(request: web.Request) -> web.StreamResponse:
        nonlocal times
        times += 1
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with site() as some, listening(answering(fragile), some.engine_port):
        status, _, text = await some.ask()
    assert (status, times) == (502, 3)
    assert json.loads(text)["error"]["code"] == "engine_failed"


async def test_an_answer_that_breaks_off_breaks_off_for_the_client() -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one")
        assert request.transport is not None
        request.transport.abort()
        return response

    async with (
        site() as some,
        listening(answering(cut), some.engine_port),
        some.client.get(some.url) as answer,
    ):
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_a_question_for_health_waits_for_nobody_and_wakes_nobody() -> None:
    async with site() as some:
        async with some.client.get(f"{some.url}/health") as answer:
            assert (answer.status, answer.headers["Connection"]) == (200, "close")
        async with some.client.get(f"{some.control}/waiting") as answer:
            assert await answer.json() == {"waiting": 0}


async def test_the_operator_hears_of_the_first_one_that_waits() -> None:
    async with site() as some:
        watch = asyncio.create_task(some.client.get(f"{some.control}/waiting?seconds=60"))
        asked = some.ask()
        async with asyncio.timeout(20):
            answer = await watch
        assert await answer.json() == {"waiting": 1}
        asked.cancel()
        await some.waiting(0)
        async with some.client.get(f"{some.control}/waiting?seconds=0.1") as answer:
            assert await answer.json() == {"waiting": 0}


async def test_one_that_is_told_to_stop_goes_on_holding_and_takes_nothing_new() -> None:
    front, control, back = free_port(), free_port(), free_port()
    arguments = [f"--route={front}=http://127.0.0.1:{back}", f"--control-port={control}", "--max-requests=9"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "activator", *arguments, "--timeout=60",
        env={**os.environ, "PYTHONPATH": str(OPERATOR)}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    await process.stdout.readline()  # it listens
    async with aiohttp.ClientSession() as client:
        body = {"model": "tiny", "messages": [], "max_tokens": 3}
        held = asyncio.create_task(client.post(f"http://127.0.0.1:{front}{CHAT}", json=body))
        async with client.get(f"http://127.0.0.1:{control}/waiting?seconds=60") as answer:
            assert await answer.json() == {"waiting": 1}
        process.send_signal(signal.SIGTERM)
        assert b"being answered: 1" in await process.stdout.readline()
        async with asyncio.timeout(20):
            while await is_taken(client, f"http://127.0.0.1:{front}/health"):
                await asyncio.sleep(0.01)
        async with engine(back):
            assert (await held).status == 200
            assert await process.wait() == 0


@pytest.mark.parametrize("route", ["8000", "x=http://a:1", "8000=https://a:1"])
def test_a_route_is_a_port_and_a_url(route: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse([f"--route={route}", "--control-port=1", "--max-requests=1", "--timeout=1"])
    assert "is not PORT=http://HOST:PORT" in capsys.readouterr().err
