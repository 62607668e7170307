"""A load generator: arrivals at a rate or a fixed number of streams, of chats or of questions, each one counted.

``enginesim load URL --rate 2 --seconds 60`` prints one JSON object per second and a last one with the totals. It
runs inside the cluster, where clients would be. SIGTERM ends it early: it begins nothing more and finishes the rest.
With ``--questions`` it asks a RAG service in place of chatting with an OpenAI-compatible one.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp

TAKEN_UP_SECONDS = 30.0
PROMPT = "word " * 200


@dataclass(frozen=True)
class Stream:
    """What the lines of a streamed answer mean. Tokens can not be counted from outside: an event may hold several."""

    path: str
    text: re.Pattern[bytes]
    finished: re.Pattern[bytes]
    """The answer is whole. A cut stream has no such line."""
    ended: re.Pattern[bytes]
    """Nothing more comes."""
    error: re.Pattern[bytes]
    """This line and the next one say what went wrong."""


CHAT = Stream(
    "/v1/chat/completions",
    text=re.compile(rb"data: "),
    finished=re.compile(rb'data: .*"finish_reason":\s*"(stop|length)"'),
    ended=re.compile(rb"data: \[DONE\]"),
    error=re.compile(rb'data: \{"error"'),
)
RAG = Stream(
    "/rag/stream",
    text=re.compile(rb"event: token"),
    finished=re.compile(rb"event: done"),
    ended=re.compile(rb"event: done"),
    error=re.compile(rb"event: error"),
)


@dataclass
class Tally:
    """What became of the requests."""

    outcomes: Counter[str] = field(default_factory=Counter)
    """complete, cut (ended early or with an error event), refused (no connection), failed (a status other than 200)"""
    ttft: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)
    """Seconds of each complete stream."""
    in_flight: int = 0
    notes: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, object]:
        """Totals and percentiles."""
        counts = {name: self.outcomes[name] for name in ("complete", "cut", "refused", "failed")}
        return {
            **counts,
            "inFlight": self.in_flight,
            "ttftP50": _quantile(self.ttft, 0.5),
            "ttftP95": _quantile(self.ttft, 0.95),
            "totalP50": _quantile(self.total, 0.5),
            "totalP95": _quantile(self.total, 0.95),
        }


def _quantile(values: Sequence[float], share: float) -> float | None:
    ordered = sorted(values)
    return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)], 3) if ordered else None


def main(arguments: Sequence[str]) -> int:
    """Run as the arguments say. Returns 0 when every request was complete."""
    parser = argparse.ArgumentParser(prog="enginesim load")
    parser.add_argument("url", help="base URL of the service")
    parser.add_argument("--rate", type=float, default=1.0, help="streams begun per second, however many are running")
    parser.add_argument("--concurrency", type=int, help="keep so many streams running instead")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long streams are begun")
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--model")
    parser.add_argument("--questions", nargs="+", help="ask a RAG service these in turn")
    parser.add_argument("--hammer", type=float, default=0.0, help="short new connections per second beside the streams")
    parser.add_argument("--hammer-path", default="/v1/models")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    tally, hammered = asyncio.run(_run(options))
    result = {
        "done": True,
        "streams": tally.summary(),
        "hammer": hammered.summary(),
        "notes": [*tally.notes, *hammered.notes][:20],
    }
    print(json.dumps(result), flush=True)  # noqa: T201
    bad = sum(count for part in (tally, hammered) for name, count in part.outcomes.items() if name != "complete")
    return 1 if bad else 0


async def _run(options: argparse.Namespace) -> tuple[Tally, Tally]:
    tally, hammered = Tally(), Tally()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    # A new connection for each request: that is what finds a pod that no longer listens.
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    timeout = aiohttp.ClientTimeout(total=None, connect=10.0, sock_read=120.0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        await _taken_up(options.url)
        reporter = asyncio.create_task(_report(tally))
        questions = itertools.cycle(options.questions or [None])

        def stream() -> Coroutine[None, None, None]:
            return _stream(session, options, next(questions), tally)

        await asyncio.gather(
            _back_to_back(options, stop, stream)
            if options.concurrency
            else _arrivals(options.rate, options, stop, stream),
            _arrivals(options.hammer, options, stop, lambda: _short(session, options, hammered)),
        )
        reporter.cancel()
    return tally, hammered


async def _taken_up(url: str) -> None:
    """Wait until the service takes connections, or for a while: nodes learn of a new one up to a second after it is
    ready, and refuse connections until then."""
    address = urlsplit(url)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(TAKEN_UP_SECONDS):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection(address.hostname, address.port or 80)
                    writer.close()
                    return
                await asyncio.sleep(0.1)


async def _arrivals(
    rate: float, options: argparse.Namespace, stop: asyncio.Event, begin: Callable[[], Coroutine[None, None, None]]
) -> None:
    """Poisson arrivals at a rate, whatever the service does; returns when the last one is done."""
    if rate <= 0:
        return
    dice = random.Random(options.seed)  # noqa: S311 - load, not secrets
    start = at = time.monotonic()
    async with asyncio.TaskGroup() as group:
        while (at := at + dice.expovariate(rate)) < start + options.seconds:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), max(at - time.monotonic(), 0.0))
                return
            group.create_task(begin())


async def _back_to_back(
    options: argparse.Namespace, stop: asyncio.Event, begin: Callable[[], Coroutine[None, None, None]]
) -> None:
    """As many at a time as asked for, on an engine of any speed; returns when the last one is done."""
    end = time.monotonic() + options.seconds

    async def client() -> None:
        while time.monotonic() < end and not stop.is_set():
            await begin()

    async with asyncio.TaskGroup() as group:
        for _ in range(options.concurrency):
            group.create_task(client())


async def _report(tally: Tally) -> None:
    while True:
        await asyncio.sleep(1.0)
        print(json.dumps({"at": round(time.time(), 1), "streams": tally.summary()}), flush=True)  # noqa: T201


def _asked(options: argparse.Namespace, question: str | None) -> tuple[Stream, dict[str, object]]:
    """What is asked for, and the body of the request."""
    if question is not None:
        return RAG, {"query": question}
    body = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": options.max_tokens, "stream": True}
    return CHAT, body | ({"model": options.model} if options.model else {})


async def _stream(
    session: aiohttp.ClientSession, options: argparse.Namespace, question: str | None, tally: Tally
) -> None:
    kind, body = _asked(options, question)
    began, first, finished = time.monotonic(), None, False
    tally.in_flight += 1
    outcome, note = "cut", ""
    try:
        async with session.post(f"{options.url}{kind.path}", json=body) as answer:
            if answer.status != 200:
                outcome, note = "failed", f"status {answer.status}: {(await answer.text())[:200]}"
                return
            async for line in answer.content:
                if kind.error.match(line):
                    note = (line + await answer.content.readline()).decode()[:200]
                    return
                finished = finished or kind.finished.match(line) is not None
                if kind.ended.match(line):
                    break
                if first is None and kind.text.match(line):
                    first = time.monotonic() - began
                    tally.ttft.append(first)
        if finished:
            outcome = "complete"
            tally.total.append(time.monotonic() - began)
        else:
            note = "ended before the answer was whole"
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        outcome, note = ("cut" if first is not None else "refused"), repr(error)
    finally:
        tally.in_flight -= 1
        tally.outcomes[outcome] += 1
        if note:
            tally.notes.append(f"{time.time():.1f} stream {outcome}: {note}")


async def _short(session: aiohttp.ClientSession, options: argparse.Namespace, tally: Tally) -> None:
    outcome, note = "refused", ""
    try:
        async with session.get(f"{options.url}{options.hammer_path}") as answer:
            await answer.read()
            outcome = "complete" if answer.status == 200 else "failed"
            note = "" if outcome == "complete" else f"status {answer.status}"
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        note = repr(error)
    tally.outcomes[outcome] += 1
    if note:
        tally.notes.append(f"{time.time():.1f} short {outcome}: {note}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
