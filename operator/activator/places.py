"""The places for requests that wait: so many and no more, and somebody may wait for the first one to be taken."""

import asyncio
import contextlib
from collections.abc import Iterator


class Full(Exception):
    """No place is free."""


class Places:
    """Bounded in number and in the bytes of what is held.

    Args:
        most: requests that may wait.
        most_bytes: bytes that their bodies may have together.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._taken = 0
        self._any = asyncio.Event()

    @property
    def taken(self) -> int:
        """Requests that wait."""
        return self._taken

    @contextlib.contextmanager
    def one(self) -> Iterator["Place"]:
        """A place, which is free again after the block, however that ends.

        Raises:
            Full: all are taken.
        """
        if self._taken >= self._most:
            raise Full
        self._taken += 1
        self._any.set()
        place = Place(self)
        try:
            yield place
        finally:
            self._bytes -= place.size
            self._taken -= 1
            if not self._taken:
                self._any.clear()

    async def any_taken(self) -> None:
        """Return when a request waits."""
        await self._any.wait()

    def _keep(self, size: int) -> None:
        if self._bytes + size > self._most_bytes:
            raise Full
        self._bytes += size


class Place:
    """One request's place."""

    def __init__(self, places: Places) -> None:
        self.size = 0
        self._places = places

    def keep(self, size: int) -> None:
        """Take in so many bytes of a body.

        Raises:
            Full: the bodies of all that wait would be too large.
        """
        self._places._keep(size)  # noqa: SLF001 - its own
        self.size += size
