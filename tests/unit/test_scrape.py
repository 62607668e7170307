"""Pods that answer late, or not as an engine does."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from llmendpoint.api.scaling import Scaling
from llmendpoint.metrics.exporter import Exporter
from llmendpoint.metrics.scrape import ANSWERS_IN_FLIGHT, PodScraper, scrape_session
from llmendpoint.metrics.source import EndpointReading, EndpointTarget, PodTarget
from support.builders import scaling

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

GOOD = b"vllm:num_requests_running 3\n"
DEMAND = scaling()


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


def target(*addresses: str, scaling: Scaling = DEMAND) -> EndpointTarget:
    pods = [PodTarget(f"pod-{index}", address) for index, address in enumerate(addresses)]
    return EndpointTarget("team", "llama", "vLLM", scaling, pods)


async def read(*addresses: str, scaling: Scaling = DEMAND) -> EndpointReading:
    async with scrape_session() as session:
        scraper = PodScraper(session, Exporter(), timeout=5.0, clock=time.time)
        (found,) = await scraper.read([target(*addresses, scaling=scaling)])
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
    told: list[str] = []

    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()  # until the client gives up
        told.append("gave up")

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.append("answered")
        writer.write(page(GOOD))

    hung_ones = 2 * ANSWERS_IN_FLIGHT
    async with serving(hang) as hung, serving(answer) as good, scrape_session() as session:
        scraper = PodScraper(session, Exporter(), timeout=1.0, clock=time.time)
        targets = [target(*[hung] * hung_ones, good)]
        await scraper.read(targets)
        while told.count("gave up") < hung_ones:
            await asyncio.sleep(0.01)
        told.clear()
        (found,) = await scraper.read(targets)
    assert (len(found.errors), list(found.samples)) == (hung_ones, [f"pod-{hung_ones}"])
    assert told[0] == "answered"


@pytest.mark.parametrize(("kind", "buckets"), [("TTFTP95Seconds", 2), ("KVCacheUtilization", 0)])
async def test_the_histogram_of_first_tokens_is_read_where_a_target_is_about_it(kind: str, buckets: int) -> None:
    bucket = b'vllm:time_to_first_token_seconds_bucket{le="%b"} 4\n'
    text = GOOD + bucket % b"1.0" + bucket % b"+Inf"
    async with serving(saying(page(text))) as address:
        found = await read(address, scaling=scaling(policy="TargetTracking", targets=[{"type": kind, "value": 0.5}]))
    assert len(found.samples["pod-0"].ttft_buckets) == buckets
