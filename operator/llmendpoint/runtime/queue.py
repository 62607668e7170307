"""A work queue of keys: one worker per key at a time, coalescing, exponential back-off with jitter, delays."""

import asyncio
import heapq
import itertools
import math
import random
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")

FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 60.0


class WorkQueue(Generic[K]):
    """What controller-runtime's work queue does, for asyncio.

    A key that is added while it is worked on is worked on once more afterwards, never at the same time.

    Args:
        clock: monotonic seconds.
        jitter: a factor for each back-off, so that a crowd of failed keys does not come back as one.
        waited: is told for how many seconds a key has waited, each time that one is taken.

    Attributes:
        adds: keys that were queued so far; one that waits already is not queued again.
        retries: tries after a failure that were asked for so far.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] | None = None,
        jitter: Callable[[], float] = lambda: random.uniform(0.8, 1.2),  # noqa: S311 - spreads load, guards nothing
        waited: Callable[[float], object] = lambda _: None,
    ) -> None:
        self.adds = 0
        self.retries = 0
        self._clock = clock or asyncio.get_running_loop().time
        self._jitter = jitter
        self._waited = waited
        self._ready: dict[K, float] = {}  # a dict is an ordered set; the value is when it was queued
        self._active: dict[K, float] = {}
        """Keys that are worked on, and since when."""
        self._again: set[K] = set()
        self._later: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        """When each delayed key is due; entries of ``_later`` that say otherwise are stale."""
        self._count = itertools.count()
        self._failures: dict[K, int] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def oldest_wait(self) -> float:
        """Seconds that the key at the head has waited; 0 when the queue is empty."""
        return self._clock() - next(iter(self._ready.values())) if self._ready else 0.0

    @property
    def active(self) -> int:
        """Keys that are worked on."""
        return len(self._active)

    @property
    def longest_running(self) -> float:
        """Seconds for which the oldest work has gone on; 0 when there is none."""
        return self._clock() - min(self._active.values()) if self._active else 0.0

    def add(self, key: K) -> None:
        """Ask for a reconcile of ``key`` as soon as possible."""
        if key in self._active:
            self._again.add(key)
        elif key not in self._ready:
            self._ready[key] = self._clock()
            self.adds += 1
            self._wake.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Ask for a reconcile of ``key`` in some seconds, or earlier where an earlier one was asked for."""
        due = self._clock() + seconds
        if due < self._due.get(key, math.inf):
            self._due[key] = due
            heapq.heappush(self._later, (due, next(self._count), key))
            self._wake.set()

    def retry(self, key: K) -> float:
        """Ask for another try after a failure. Returns the back-off in seconds."""
        self.retries += 1
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = min(FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 16), LONGEST_RETRY_SECONDS) * self._jitter()
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """A success: the next failure starts with a short back-off again."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """Wait for a key to work on. Call done() with it afterwards."""
        while True:
            self._move_due()
            if self._ready:
                key = next(iter(self._ready))
                now = self._clock()
                self._waited(now - self._ready.pop(key))
                self._active[key] = now
                if self._ready:
                    self._wake.set()  # another worker may take the next one
                return key
            self._wake.clear()
            try:
                async with asyncio.timeout(self._until_due()):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def done(self, key: K) -> None:
        """The work on ``key`` has ended, well or not."""
        self._active.pop(key, None)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _move_due(self) -> None:
        while self._later and self._later[0][0] <= self._clock():
            due, _, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)

    def _until_due(self) -> float | None:
        return max(self._later[0][0] - self._clock(), 0.0) if self._later else None
