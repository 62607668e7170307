"""A shard's chunks in order: what is done is read from the last one, and what was answered since becomes the next one.

A chunk is created and never written over. So of two workers of a shard, as there are for a while when a node is lost
that still runs, one meets the other's chunk in its place: it takes that for done, and goes on behind it.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from batchworker import layout
from batchworker.chunks import Batch, Chunk, decode, encode
from batchworker.ledger import Ledger, Mark
from batchworker.places import BadInput, Folder
from batchworker.progress import Counts
from batchworker.records import Record

FULL = 1024 * 1024
"""Bytes that are written at once."""
MOST = 8 * FULL
"""Bytes that may wait to be written."""
SHARE_AT_RISK = 0.01
"""Of its time, a worker that is killed loses no more than this share, or SOONEST, or LATEST at most."""
SOONEST, LATEST = 1.0, 30.0


class Log:
    """The chunks of one shard.

    Args:
        number: of the chunk that comes next.
        last: the one before it.
    """

    def __init__(self, folder: Folder, shard: int, number: int, last: Chunk) -> None:
        self.lines = last.lines
        self.counts = last.counts
        self.resumed = last.counts.lines
        self.ledger = Ledger(last.mark)
        self.number = number
        self._folder, self._shard, self._batch = folder, shard, last.batch
        self._waiting: list[Record] = []
        self._size = 0
        self._writing = asyncio.Lock()
        self._wanted, self._has_room = asyncio.Event(), asyncio.Event()
        self._closed = False

    def add(self, record: Record) -> bool:
        """Keep what became of a line. False where another worker was faster."""
        if not self.ledger.finish(record.line):
            return False
        self._waiting.append(record)
        self.counts += _counts([record])
        self._size += len(record.text)
        if self._size >= FULL:
            self._wanted.set()
        return True

    async def room(self) -> None:
        """Return when more may be added."""
        while self._size >= MOST:
            self._has_room.clear()
            await self._has_room.wait()

    async def keep_writing(self) -> None:
        """Write now and then until the log is closed, and what is left then."""
        began = time.monotonic()
        while not self._closed:
            seconds = min(max((time.monotonic() - began) * SHARE_AT_RISK, SOONEST), LATEST)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wanted.wait()
            self._wanted.clear()
            await self.write()

    def close(self) -> None:
        """Nothing more will be added."""
        self._closed = True
        self._wanted.set()

    async def write(self) -> None:
        """Make a chunk of what waits. If that is cut short the log can not be used any more: it may be there or not."""
        async with self._writing:
            while self._waiting:
                records, self._waiting, self._size = self._waiting, [], 0
                chunk = Chunk(self._batch, self.lines, self.ledger.mark, self.counts, *_texts(records))
                name = layout.chunk(self._shard, self.number)
                if not await self._folder.create(name, encode(chunk)):
                    self._give_way(await _chunk(self._folder, name), records)
                self.number += 1
                self._has_room.set()

    def _give_way(self, other: Chunk | None, records: list[Record]) -> None:
        """Another worker's chunk is where ours was to be."""
        if other is None:
            raise BadInput(f"{self._folder.uri}: a chunk that was there is gone or broken; give the batch a new folder")
        self.ledger.adopt(other.mark)
        self._waiting = [record for record in (*records, *self._waiting) if not other.mark.has(record.line)]
        self._size = sum(len(record.text) for record in self._waiting)
        self.counts = other.counts + _counts(self._waiting)


async def opened(folder: Folder, shard: int, batch: Batch, start: int, count: Callable[[], Awaitable[int]]) -> Log:
    """The log of a shard, which is begun where there is none.

    Args:
        start: offset of the shard's first byte.
        count: counts the lines of the shard, which is done once in its life.

    Raises:
        BadInput: the folder is another batch's.
    """
    while True:
        for number in range(len(await folder.names(layout.chunks_folder(shard))) - 1, -1, -1):
            name = layout.chunk(shard, number)
            if (last := await _chunk(folder, name)) is not None:
                check_is_same(last.batch, batch, folder)
                return Log(folder, shard, number + 1, replace(last, answers=b"", errors=b""))
            # A machine that lost its power can leave the last one broken.
            await folder.remove([name])
        if await folder.about(layout.ANSWERS) is not None:
            raise BadInput(f"{folder.uri} holds {layout.ANSWERS} already: give the batch another folder, or move it")
        first = Chunk(batch, await count(), Mark(start), Counts())
        if await folder.create(layout.chunk(shard, 0), encode(first)):
            return Log(folder, shard, 1, first)


def check_is_same(found: Batch, batch: Batch, folder: Folder) -> None:
    """Raise BadInput where an output folder is another batch's."""
    if found == batch:
        return
    raise BadInput(
        f"{folder.uri} holds what another batch began ({_words(found)}), and this one is {_words(batch)}: give it "
        f"another folder, or remove {layout.WORKING} from this one"
    )


def _words(batch: Batch) -> str:
    model = f", model {batch.model}" if batch.model else ""
    return f"{batch.input}, {batch.size} bytes of {batch.modified}, {batch.shards} shards{model}"


async def _chunk(folder: Folder, name: str) -> Chunk | None:
    """A chunk; None where it is not there in whole."""
    content = await folder.read(name)
    try:
        return None if content is None else decode(content)
    except (ValueError, KeyError, TypeError):
        return None


def _texts(records: Sequence[Record]) -> tuple[bytes, bytes]:
    answers = b"".join(record.text for record in records if record.succeeded)
    return answers, b"".join(record.text for record in records if not record.succeeded)


def _counts(records: Sequence[Record]) -> Counts:
    succeeded = sum(record.succeeded for record in records)
    return Counts(
        succeeded,
        len(records) - succeeded,
        sum(record.usage.prompt_tokens for record in records),
        sum(record.usage.completion_tokens for record in records),
    )
