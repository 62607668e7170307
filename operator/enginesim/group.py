"""A replica over several nodes: rank 0 serves when all others have joined it, and what one loses ends them all."""

import asyncio
import contextlib
import signal
from dataclasses import dataclass

RETRY_SECONDS = 0.5


@dataclass(frozen=True)
class Nodes:
    """One node's place among those of its replica."""

    count: int = 1
    rank: int = 0
    address: str = "127.0.0.1"
    """Where rank 0 waits for the others."""
    port: int = 29501
    leaves_at_sigterm: bool = True
    """False where another rank than 0 stops when rank 0 does, and not before."""


class Group:
    """The other nodes, as rank 0 sees them."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._missing = set(range(1, nodes.count))
        self._complete = asyncio.Event()
        self.broken = asyncio.Event()
        self._door: asyncio.Server | None = None

    async def gather(self) -> None:
        """Wait until all have joined."""
        if self._missing:
            self._door = await asyncio.start_server(self._join, "0.0.0.0", self._nodes.port)  # noqa: S104
            await self._complete.wait()

    def close(self) -> None:
        """Take nobody any more."""
        if self._door:
            self._door.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(ValueError, OSError):
            self._missing.discard(int(await reader.readline()))
            if not self._missing:
                self._complete.set()
            await reader.read()
            self.broken.set()


async def follow(nodes: Nodes) -> int:
    """What another rank than 0 does: join, and go with rank 0 or at SIGTERM. Returns the exit status."""
    term = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, term.set)
    member = asyncio.create_task(_stay(nodes))
    leave = asyncio.create_task(term.wait())
    try:
        ends = [member, leave] if nodes.leaves_at_sigterm else [member]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        return 1 if member.done() else 0
    finally:
        member.cancel()
        leave.cancel()


async def _stay(nodes: Nodes) -> None:
    """A member from when rank 0 can be reached until it is gone."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(nodes.address, nodes.port)
            break
        await asyncio.sleep(RETRY_SECONDS)
    writer.write(b"%d\n" % nodes.rank)
    print(f"enginesim: rank {nodes.rank} of {nodes.count} has joined {nodes.address}", flush=True)  # noqa: T201
    with contextlib.closing(writer), contextlib.suppress(OSError):
        await reader.read()
