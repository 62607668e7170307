"""Whether this process may write to the API server at this moment; every write passes here."""

import asyncio
import contextlib
import math
import time
from collections.abc import Iterator

from llmendpoint.cluster.errors import NotLeading


def uptime() -> float:
    """Seconds that never go back and, unlike time.monotonic() on Linux, go on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Fence:
    """Shut at first, open until a moment that moves on with each renewal of the lease, and in the end shut for good.

    It needs nobody to shut it: a process that was stopped for a minute finds it shut when it goes on.
    """

    def __init__(self) -> None:
        self._until = -math.inf
        self._is_shut = False
        self._passing = 0
        self._empty = asyncio.Event()
        self._empty.set()

    @classmethod
    def without_election(cls) -> "Fence":
        """One that is open until it is shut."""
        fence = cls()
        fence.open_until(math.inf)
        return fence

    def open_until(self, moment: float) -> None:
        """Let writes pass before a moment of ``uptime``."""
        self._until = moment

    def shut(self) -> None:
        """Let nothing pass any more."""
        self._is_shut = True

    async def empty(self) -> None:
        """Wait until no write is on its way."""
        await self._empty.wait()

    @contextlib.contextmanager
    def passed(self, what: str) -> Iterator[None]:
        """One write, from before it is sent to its answer.

        Raises:
            NotLeading: it may not be sent.
        """
        if self._is_shut or uptime() >= self._until:
            raise NotLeading(f"{what}: not sent, because this process does not hold the lease of the operator")
        self._passing += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._passing -= 1
            if not self._passing:
                self._empty.set()
