"""Continuous batching one step after the other, in plain Python: what the compiled engine model must agree with."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from llmendpoint.simulate.profiles import BLOCK_TOKENS, EngineProfile


@dataclass(eq=False)
class Request:
    """One generation; ``target`` is what has to be read before its next token is generated."""

    arrived: float
    prompt: int
    output: int
    target: int = 0
    cached: int = 0
    generated: int = 0
    first_token: float | None = None
    finished: float | None = None

    def __post_init__(self) -> None:
        self.target = self.prompt

    @property
    def missing(self) -> int:
        return self.target - self.cached


def blocks_of(tokens: int) -> int:
    return -(-tokens // BLOCK_TOKENS)


class StepwiseEngine:
    """One replica."""

    def __init__(self, profile: EngineProfile) -> None:
        self._profile = profile
        self._waiting: deque[Request] = deque()
        self._running: list[Request] = []
        self._held: dict[int, int] = {}
        self.preemptions = 0
        self.most_blocks = 0

    def serve(self, requests: Sequence[Request]) -> None:
        """Serve all requests, which are in the order of their arrival, to their end."""
        coming, now = deque(requests), 0.0
        while coming or self._waiting or self._running:
            if not self._waiting and not self._running:
                now = max(now, coming[0].arrived)
                self._waiting.append(coming.popleft())
            while coming and coming[0].arrived < now:
                self._waiting.append(coming.popleft())
            now = self._step(now)

    def _step(self, now: float) -> float:
        profile = self._profile
        budget, taken, preempted = profile.max_num_batched_tokens, [], False
        for request in list(self._running):
            if request not in self._running:
                break
            take = min(request.missing if request.missing > 0 else 1, budget)
            if request.missing <= 0 and take:
                preempted = self._make_room(request) or preempted
                if request not in self._running:
                    break
            budget -= take
            if take:
                taken.append((request, take))
        while not preempted and budget and self._waiting and len(self._running) < profile.max_num_seqs:
            head = self._waiting[0]
            if self._used + blocks_of(head.target) > profile.kv_blocks:
                break
            self._running.append(self._waiting.popleft())
            self._held[id(head)] = blocks_of(head.target)
            taken.append((head, min(head.target, budget)))
            budget -= taken[-1][1]
        self.most_blocks = max(self.most_blocks, self._used)
        read = sum(take for request, take in taken if request.missing > 0)
        attended = sum(request.cached for request, _ in taken)
        end = (
            now + profile.alpha + profile.beta * len(taken) + profile.gamma * read + profile.kappa * attended
        )  # fmt: skip
        for request, take in taken:
            self._emit(request, take, end)
        return end

    def _emit(self, request: Request, take: int, now: float) -> None:
        request.cached += take
        if request.cached < request.target:
            return
        request.generated += 1
        request.first_token = request.first_token or now
        if request.generated == request.output:
            request.finished = now
            self._running.remove(request)
            del self._held[id(request)]

    @property
    def _used(self) -> int:
        return sum(self._held.values())

    def _make_room(self, request: Request) -> bool:
        if blocks_of(request.cached + 1) <= self._held[id(request)]:
            return False
        preempted = False
        while self._used >= self._profile.kv_blocks:
            victim = self._running.pop()
            del self._held[id(victim)]
            victim.cached, victim.target = 0, victim.prompt + victim.generated
            self._waiting.appendleft(victim)
            self.preemptions += 1
            preempted = True
            if victim is request:
                return True
        self._held[id(request)] += 1
        return preempted
