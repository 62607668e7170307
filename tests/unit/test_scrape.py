"""Pods that answer late, or not as an engine does."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest

from llmendpoint.metrics.exporter import Exporter
from llmendpoint.metrics.scrape import PodScraper
from llmendpoint.metrics.source import EndpointReading, EndpointTarget, PodTarget
from support.builders import scaling

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

GOOD = b"vllm:num_requests_running 3\n"


def page(body: bytes, *headers: bytes) -> bytes:
    head = b"\r\n".join((b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), b"Connection: close", *headers))
    return head + b"\r\n\r\n" + body


@contextlib.asynccontextmanager
async def serving(respond: Handler) -> AsyncIterator[str]:
    """A server on this machine, as host:port, that reads a request and responds."""
    connections: set[asyncio.Task[None] | None] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await respond(reader, writer)
            await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=512)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"
        await asyncio.gather(*(task for task in connections if task))


def saying(answer: bytes) -> Handler:
    async def respond(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return respond


async def read(*addresses: str, timeout: float = 5.0) -> EndpointReading:
    pods = [PodTarget(f"pod-{index}", address) for index, address in enumerate(addresses)]
    target = EndpointTarget("team", "llama", "vLLM", scaling(), pods)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        (found,) = await PodScraper(session, Exporter(), timeout=timeout, clock=time.time).read([target])
    return found


async def test_an_engine_is_read() -> None:
    async with serving(saying(page(GOOD))) as address:
        found = await read(address)
    assert (found.samples["pod-0"].running, found.errors) == (3.0, {})


@pytest.mark.parametrize(
    ("what", "answer"),
    [
        ("another protocol", b"\x15\x03\x01\x00\x02\x02\x46" * 9),
        ("nothing", b""),
        ("half an answer", page(GOOD)[:-9]),
        ("what is not compressed as it says", page(GOOD, b"Content-Encoding: gzip")),
        ("bytes that are no text", page(bytes(range(128, 256)) * 9)),
        ("an infinite number", page(b"vllm:num_requests_running +Inf\n")),
        ("infinities that cancel out", page(b'vllm:num_requests_running{e="0"} Inf\nvllm:num_requests_running -Inf\n')),
        ("numbers whose sum is too large", page(b'vllm:num_requests_running{e="0"} 1e308\n' * 9)),
        ("an error", b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"),
    ],
)  # fmt: skip
async def test_garbage_is_a_reading_error(what: str, answer: bytes) -> None:
    async with serving(saying(answer)) as address:
        found = await read(address)
    assert (list(found.samples), list(found.errors)) == ([], ["pod-0"])


async def test_a_pod_leads_the_operator_to_no_other_address() -> None:
    async with serving(saying(page(GOOD))) as elsewhere:
        redirect = f"HTTP/1.1 302 Found\r\nLocation: http://{elsewhere}/\r\nContent-Length: 0\r\n\r\n"
        async with serving(saying(redirect.encode())) as address:
            found = await read(address)
    assert found.errors == {"pod-0": f"{address}/metrics answered 302"}


async def test_an_address_that_is_none_is_a_reading_error() -> None:
    assert list((await read("not an address:8000")).errors) == ["pod-0"]


async def test_pods_that_hang_hold_up_nobody() -> None:
    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()  # until the client gives up

    began = time.monotonic()
    async with serving(hang) as hung, serving(saying(page(GOOD))) as good:
        found = await read(*[hung] * 200, good, timeout=1.0)
        took = time.monotonic() - began
    assert (len(found.errors), list(found.samples)) == (200, ["pod-200"])
    assert took < 3.5  # one time-out, and not one after the other
