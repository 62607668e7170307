"""A chunk: some answers, and what is done with them, in one file that is written once.

The last chunk of a shard says how far it is, so that whoever goes on reads that one only.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

from batchworker.ledger import Mark
from batchworker.progress import Counts


@dataclass(frozen=True)
class Batch:
    """By what a worker knows its own batch in an output folder."""

    input: str
    size: int
    modified: str
    shards: int
    model: str | None
    """In place of the one that the lines name."""


@dataclass(frozen=True)
class Chunk:
    """One file: a line of JSON about it, the answers, the errors."""

    batch: Batch
    lines: int
    """Of the whole shard."""
    mark: Mark
    """What is done, this chunk included."""
    counts: Counts
    """The same."""
    answers: bytes = b""
    errors: bytes = b""


def encode(chunk: Chunk) -> bytes:
    """The file's bytes."""
    head = {
        "batch": asdict(chunk.batch),
        "lines": chunk.lines,
        "next": chunk.mark.next,
        "open": sorted(chunk.mark.open),
        "counts": asdict(chunk.counts),
        "answers": len(chunk.answers),
        "errors": len(chunk.errors),
    }
    return json.dumps(head).encode() + b"\n" + chunk.answers + chunk.errors


def decode(content: bytes) -> Chunk:
    """Read a chunk's file.

    Raises:
        ValueError: it is none, or a part of one only.
    """
    first, _, rest = content.partition(b"\n")
    head: dict[str, Any] = json.loads(first)
    answers = int(head["answers"])
    if len(rest) != answers + int(head["errors"]):
        raise ValueError(f"a chunk with {len(rest)} bytes in place of {answers + int(head['errors'])}")
    return Chunk(
        Batch(**head["batch"]),
        head["lines"],
        Mark(head["next"], frozenset(head["open"])),
        Counts(**head["counts"]),
        rest[:answers],
        rest[answers:],
    )
