"""The end of a batch: the shard that is done last makes two files of all chunks, in the shards' order.

Each shard leaves a mark when it is done, and then looks whether all have. Two that do so at once write the same. Chunks
are read by their numbers, never by what a listing shows, so that nobody makes a file of what is left of them.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from obstore.exceptions import BaseError

from batchworker import layout
from batchworker.chunks import Batch, decode
from batchworker.log import check_is_same
from batchworker.places import Folder
from batchworker.progress import Said

AT_ONCE = 8
"""Chunks that are read ahead."""


@dataclass(frozen=True)
class Errors:
    """Where the errors of a chunk lie."""

    chunk: str
    start: int
    stop: int


class Gone(Exception):
    """Chunks were removed, which only happens when the files that are made of them are there."""


async def report_of(folder: Folder, batch: Batch, shard: int) -> Said | None:
    """What a shard said that is done, as /progress does; None where it is not.

    Raises:
        BadInput: the folder is another batch's.
    """
    if (done := await folder.read(layout.DONE)) is not None:
        of_all = json.loads(done)
        check_is_same(Batch(**of_all["batch"]), batch, folder)
        said: Said = of_all["shards"][shard]
        return said
    mark = await folder.read(layout.shard_done(shard))
    return None if mark is None else _checked(mark, batch, folder)["report"]


async def leave_mark(folder: Folder, batch: Batch, shard: int, chunks: int, report: Said) -> None:
    """Say that a shard is done, and with how many chunks."""
    mark = {"batch": asdict(batch), "chunks": chunks, "report": report}
    await folder.replace(layout.shard_done(shard), json.dumps(mark).encode())


async def collate(folder: Folder, batch: Batch) -> bool:
    """Make the batch's files if every shard is done. Returns whether they are there.

    Raises:
        BadInput: the folder is another batch's.
    """
    if await folder.about(layout.DONE) is None:
        marks = [name for name in await folder.names(layout.WORKING) if name.startswith(layout.SHARD_DONE)]
        if len(marks) < batch.shards:
            return False
        try:
            await _make_files(folder, batch)
        except (Gone, BaseError, OSError):
            # Another one that was faster has cleared away what was read or written here.
            if await folder.about(layout.DONE) is None:
                raise
    try:
        await _clear(folder, batch)
    except (BaseError, OSError) as error:
        # Another one may have been faster. What is left does no harm.
        print(f"batchworker: {folder.uri}: {layout.WORKING} was not emptied: {error}", flush=True)  # noqa: T201
    return True


async def _make_files(folder: Folder, batch: Batch) -> None:
    marks = []
    for shard in range(batch.shards):
        content = await folder.read(layout.shard_done(shard))
        if content is None:
            raise Gone(layout.shard_done(shard))
        marks.append(_checked(content, batch, folder))
    names = [layout.chunk(shard, number) for shard, mark in enumerate(marks) for number in range(mark["chunks"])]
    errors: list[Errors] = []
    await folder.replace(layout.ANSWERS, _answers(folder, names, errors))
    await folder.replace(layout.ERRORS, _errors(folder, errors))
    everything = {"batch": asdict(batch), "shards": [mark["report"] for mark in marks]}
    await folder.replace(layout.DONE, json.dumps(everything).encode())


async def _answers(folder: Folder, names: Sequence[str], errors: list[Errors]) -> AsyncIterator[bytes]:
    """The answers of all chunks; where errors are is noted on the way."""
    for start in range(0, len(names), AT_ONCE):
        some = names[start : start + AT_ONCE]
        for name, content in zip(some, await asyncio.gather(*map(folder.read, some)), strict=True):
            if content is None:
                raise Gone(name)
            chunk = decode(content)
            if chunk.errors:
                errors.append(Errors(name, len(content) - len(chunk.errors), len(content)))
            if chunk.answers:
                yield chunk.answers


async def _errors(folder: Folder, errors: Sequence[Errors]) -> AsyncIterator[bytes]:
    for some in errors:
        yield await folder.read_range(some.chunk, some.start, some.stop)


async def _clear(folder: Folder, batch: Batch) -> None:
    await folder.remove_unfinished(layout.ANSWERS, layout.ERRORS, f"{layout.WORKING}/**/*")
    for shard in range(batch.shards):
        await _remove_all(folder, layout.chunks_folder(shard), "")
    await _remove_all(folder, layout.WORKING, layout.SHARD_DONE)


async def _remove_all(folder: Folder, inside: str, beginning: str) -> None:
    await folder.remove([f"{inside}/{name}" for name in await folder.names(inside) if name.startswith(beginning)])


def _checked(mark: bytes, batch: Batch, folder: Folder) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(mark)
    check_is_same(Batch(**read["batch"]), batch, folder)
    return read
