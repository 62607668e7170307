"""Which shard a line belongs to, and how lines are read."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchworker import lines as module
from batchworker.lines import Line, Span, lines, span_of

CONTENTS = st.lists(st.sampled_from([b"\n", b" ", b"a", b"bc", b"{}\r\n", b"x" * 20]), max_size=40).map(b"".join)


def read_all(content: bytes, *spans: Span) -> list[Line]:
    async def read(start: int, stop: int) -> bytes:
        assert start < stop <= len(content)
        return content[start:stop]

    async def collect() -> list[Line]:
        return [line for span in spans for line in [line async for line in lines(read, len(content), span)]]

    return asyncio.run(collect())


@given(CONTENTS, st.integers(1, 7), st.integers(1, 16))
def test_every_line_belongs_to_one_shard_however_the_file_is_cut(content: bytes, shards: int, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        found = read_all(content, *(span_of(shard, shards, len(content)) for shard in range(shards)))
    assert [line.content for line in found] == [line for line in content.split(b"\n") if line.strip()]
    for line in found:
        assert content[line.start : line.end].removesuffix(b"\n") == line.content


def test_reading_can_go_on_at_any_line() -> None:
    content = b"one\ntwo\nthree"
    assert [line.content for line in read_all(content, Span(4, len(content)))] == [b"two", b"three"]


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert read_all(b"\xef\xbb\xbf{}\n", Span(0, 6))[0].content == b"{}"


def test_of_a_line_that_is_too_long_the_beginning_is_kept() -> None:
    content = b"x" * (module.LONGEST + module.BLOCK) + b"\nshort"
    long, short = read_all(content, Span(0, len(content)))
    assert (len(long.content), long.end) == (module.LONGEST + 1, len(content) - 5)
    assert short.content == b"short"
