"""``python -m bench.fleet``: one process that answers /metrics for every engine pod, as an idle or busy vLLM does.

All engines show the same numbers. The text is rendered once a second, so that answering thousands of pods leaves the
machine to what is measured.
"""

import argparse
import asyncio
import signal
import time

from enginesim.batching import Request
from enginesim.options import parse
from enginesim.vllm_metrics import VllmMetrics

PORT = 8000
ASKED = b"GET /scrapes "
"""How many scrapes were answered so far, by all pods together."""
TOKENS = 50
LARGEST_REQUEST = 64 * 1024


class Engine:
    """The numbers that every pod shows.

    Args:
        rate: requests that finish per second; each waits and runs a second or so.
    """

    def __init__(self, rate: float) -> None:
        self._metrics = VllmMetrics(parse(["vllm", "serve", "llama"], {}))
        self._rate = rate
        self._finished = 0
        self._began = time.monotonic()
        self._rendered_at = 0.0
        self._answer = b""
        self._scrapes = 0

    def count(self) -> bytes:
        """A whole HTTP answer: how many scrapes were answered."""
        body = str(self._scrapes).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    def answer(self) -> bytes:
        """A whole HTTP answer to a scrape."""
        self._scrapes += 1
        now = time.monotonic()
        if not self._answer or now - self._rendered_at >= 1.0:
            self._rendered_at = now
            self._finish(int((now - self._began) * self._rate) - self._finished, now)
            running = round(self._rate * 2)
            body = self._metrics.text(running=running, waiting=0, kv_usage=min(running / 100, 1.0))
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {len(body)}\r\n\r\n"
            self._answer = head.encode() + body
        return self._answer

    def _finish(self, count: int, now: float) -> None:
        for _ in range(count):
            request = Request(prompt_tokens=200, max_tokens=TOKENS, arrived=now - 2.0, started=now - 1.9)
            for token in range(TOKENS):
                self._metrics.token(request, now)
                request.first_token = request.first_token or now - 1.8
                request.last_token, request.generated = now, token + 1
            self._metrics.finished(request, now, "length")
        self._finished += count


class Connection(asyncio.Protocol):
    """One scraper's connection: every other request is taken for a scrape."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A scraper is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Part of a request."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            request, self._received = self._received[:end], self._received[end + 4 :]
            self._transport.write(self._engine.count() if request.startswith(ASKED) else self._engine.answer())
        if len(self._received) > LARGEST_REQUEST:
            self._transport.abort()


async def _serve(rate: float) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    engine = Engine(rate)
    # Of the benchmark's own network namespace: no other machine reaches it.
    server = await loop.create_server(lambda: Connection(engine), "0.0.0.0", PORT, backlog=4096)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(prog="bench.fleet")
    arguments.add_argument("--rate", type=float, default=0.0, help="requests per second of each engine")
    asyncio.run(_serve(arguments.parse_args().rate))
