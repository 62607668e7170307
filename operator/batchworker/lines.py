"""Which lines of a file belong to a shard, and how they are read: those that begin within its range of bytes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

BLOCK = 1024 * 1024
LONGEST = 16 * 1024 * 1024
"""Bytes of a line; of a longer one only the beginning is kept."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Read = Callable[[int, int], Awaitable[bytes]]
"""Bytes of a file from one offset up to another, which is not behind its end."""


@dataclass(frozen=True)
class Line:
    """One line, without the newline."""

    start: int
    """Offset of its first byte in the file: by this it is known."""
    end: int
    """Offset of the first byte of the next one."""
    content: bytes


@dataclass(frozen=True)
class Span:
    """Bytes of a file, from one offset up to another."""

    start: int
    stop: int


def span_of(shard: int, shards: int, size: int) -> Span:
    """The shard's part of a file of so many bytes. All shards' parts together are the file."""
    return Span(size * shard // shards, size * (shard + 1) // shards)


async def lines(read: Read, size: int, span: Span) -> AsyncIterator[Line]:
    """Lines that begin in a part of a file and are not blank, in order. The last one may end behind the part."""
    if span.start >= span.stop:
        return
    # The byte before tells whether a line begins at the first one.
    position = max(span.start - 1, 0)
    start = position
    belongs = position == span.start
    held = bytearray()
    while position < size:
        block = await read(position, min(position + BLOCK, size))
        begin = 0
        while (newline := block.find(b"\n", begin)) >= 0:
            end = position + newline + 1
            _hold(held, block[begin:newline])
            if belongs and held.strip():
                yield Line(start, end, _content(start, held))
            held.clear()
            start, begin, belongs = end, newline + 1, True
            if start >= span.stop:
                return
        _hold(held, block[begin:])
        position += len(block)
    if belongs and held.strip():
        yield Line(start, size, _content(start, held))


def _hold(held: bytearray, more: bytes) -> None:
    held += more[: max(LONGEST + 1 - len(held), 0)]


def _content(start: int, held: bytearray) -> bytes:
    content = bytes(held)
    return content.removeprefix(BYTE_ORDER_MARK) if start == 0 else content
