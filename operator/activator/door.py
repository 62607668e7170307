"""Whether a replica takes requests: one look for all who wait, four a second while somebody does.

The address is a Service that leads to ready replicas only, and while there is none a connection to it is refused.
"""

import asyncio
import contextlib
from urllib.parse import urlsplit

LOOK_SECONDS = 0.25
CONNECT_SECONDS = 1.0


class Door:
    """The way to the replicas.

    Args:
        url: http://host:port of the Service.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._waiting = 0
        self._look: asyncio.Task[None] | None = None

    async def opened(self) -> None:
        """Return when a replica has just taken a connection."""
        self._waiting += 1
        try:
            if self._look is None or self._look.done():
                self._look = asyncio.create_task(self._look_until_it_opens())
            await asyncio.shield(self._look)
        finally:
            self._waiting -= 1

    async def _look_until_it_opens(self) -> None:
        while self._waiting and not await self._takes_a_connection():  # noqa: ASYNC110 - only a look tells
            await asyncio.sleep(LOOK_SECONDS)

    async def _takes_a_connection(self) -> bool:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, writer = await asyncio.open_connection(self._host, self._port)
        except OSError:  # TimeoutError is one, and so is a name that is not known yet
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True
