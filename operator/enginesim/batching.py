"""Continuous batching: requests join and leave a running batch at every step, as KV cache and slots allow.

A step takes one token of each sequence that decodes and a chunk of the prompt of each that does not yet, within a
budget of tokens; those that run come first. KV cache is reserved at admission for the longest answer, so nothing is
preempted.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from enginesim.options import Hardware

WORD = " lorem"


@dataclass(eq=False)
class Request:
    """One generation. Its tokens come through ``tokens``; None ends it."""

    prompt_tokens: int
    max_tokens: int
    answer: Sequence[str] = ()
    """Its words, one for each token; filler when empty."""
    streams: bool = False
    """The client takes the answer token by token."""
    adapter: str | None = None
    arrived: float = field(default_factory=time.monotonic)
    started: float | None = None
    first_token: float | None = None
    last_token: float = 0.0
    generated: int = 0
    cached: int = 0
    """Tokens in the KV cache."""
    cut: bool = False
    """The engine was stopped before it was done."""
    tokens: asyncio.Queue[int | None] = field(default_factory=asyncio.Queue)

    def token(self, number: int) -> str:
        """The text of the token of that number, which begins at 1."""
        return f"{' ' if number > 1 else ''}{self.answer[number - 1]}" if self.answer else WORD

    @property
    def reason(self) -> str:
        """Why it ends by itself."""
        return "stop" if self.answer and self.max_tokens == len(self.answer) else "length"

    @property
    def kv_tokens(self) -> int:
        """KV cache that it may come to need."""
        return self.prompt_tokens + self.max_tokens

    @property
    def unread(self) -> int:
        """Prompt tokens that are not in the KV cache yet."""
        return max(self.prompt_tokens - self.cached, 0)


class Listener(Protocol):
    """What wants to know of the life of requests: the metrics."""

    def step(self, batch: int, tokens: int) -> None:
        """One step was made with so many sequences and tokens."""

    def token(self, request: Request, now: float) -> None:
        """A request got a token."""

    def finished(self, request: Request, now: float, reason: str) -> None:
        """A request is done: length, stop or abort."""


class Batcher:
    """The engine core: a waiting queue, a running batch, one step after the other."""

    def __init__(self, hardware: Hardware, max_sequences: int, max_batched_tokens: int, listener: Listener) -> None:
        self._hardware = hardware
        self._max_sequences = max_sequences
        self._max_batched_tokens = max_batched_tokens
        self._listener = listener
        self._wake = asyncio.Event()
        self.waiting: deque[Request] = deque()
        self.running: list[Request] = []
        self.hangs = False
        """A hung accelerator: requests stay where they are and no token comes."""

    @property
    def in_flight(self) -> int:
        """Requests that are not done."""
        return len(self.waiting) + len(self.running)

    @property
    def kv_usage(self) -> float:
        """Share of the KV cache in use, 0 to 1."""
        used = sum(request.prompt_tokens + request.generated for request in self.running)
        return min(used / self._hardware.kv_tokens, 1.0)

    def submit(self, request: Request) -> None:
        """Queue a request."""
        self.waiting.append(request)
        self._wake.set()

    def abort(self, request: Request) -> None:
        """The client has gone."""
        if request in self.waiting:
            self.waiting.remove(request)
        elif request in self.running:
            self.running.remove(request)
        else:
            return
        self._listener.finished(request, time.monotonic(), "abort")

    def cut_all(self) -> None:
        """Stop every request where it is."""
        for request in [*self.running, *self.waiting]:
            request.cut = True
            request.tokens.put_nowait(None)
        self.running.clear()
        self.waiting.clear()

    async def run(self) -> None:
        """Step for ever."""
        due = time.monotonic()
        while True:
            if self.hangs or not self.in_flight:
                self._wake.clear()
                if not self.in_flight:
                    await self._wake.wait()
                else:
                    await asyncio.sleep(0.1)
                due = time.monotonic()
                continue
            taken = self._schedule()
            seconds = self._hardware.step_seconds(
                sequences=len(taken),
                prompt_tokens=sum(tokens for request, tokens in taken.items() if request.unread),
                cached_tokens=sum(request.cached for request in taken),
            )
            # Kept against the clock: a late wake-up must not make the accelerator slower.
            due = max(due + seconds, time.monotonic() - 0.5)
            await asyncio.sleep(max(due - time.monotonic(), 0.0))
            if not self.hangs:
                self._emit(taken)

    def _schedule(self) -> dict[Request, int]:
        """The tokens that the next step takes of each of its sequences. Waiting requests join in order of arrival."""
        budget, taken = self._max_batched_tokens, {}
        for request in self.running:
            taken[request] = min(request.unread or 1, budget)
            budget -= taken[request]
        reserved = sum(request.kv_tokens for request in self.running)
        while self.waiting and budget and len(self.running) < self._max_sequences:
            head = self.waiting[0]
            # A request larger than the whole cache still runs alone.
            if self.running and reserved + head.kv_tokens > self._hardware.kv_tokens:
                break
            self.running.append(self.waiting.popleft())
            head.started = time.monotonic()
            reserved += head.kv_tokens
            taken[head] = min(head.prompt_tokens, budget)
            budget -= taken[head]
        return {request: tokens for request, tokens in taken.items() if tokens}

    def _emit(self, taken: Mapping[Request, int]) -> None:
        now = time.monotonic()
        self._listener.step(len(taken), sum(taken.values()))
        for request in [request for request in self.running if request in taken]:  # some may be gone by now
            request.cached += taken[request]
            if request.unread:
                continue
            request.generated += 1
            self._listener.token(request, now)
            request.first_token = request.first_token or now
            request.last_token = now
            request.tokens.put_nowait(request.generated)
            if request.generated >= request.max_tokens:
                self.running.remove(request)
                self._listener.finished(request, now, request.reason)
                request.tokens.put_nowait(None)
