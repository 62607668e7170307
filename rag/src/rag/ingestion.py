"""A folder of documents goes into the store: what is new or changed is embedded, what is gone is forgotten."""

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rag import chunking, documents
from rag.documents import Document, UnreadableDocument
from rag.embedding import Embedder
from rag.store import Store, Stored


@dataclass
class Report:
    """What an ingestion did."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unchanged: int = 0
    passages: int = 0
    """That were embedded."""
    unreadable: list[str] = field(default_factory=list)
    """Sentences. What the store has of such a document stays."""


async def ingest(folder: Path, corpus: str, store: Store, embedder: Embedder) -> Report:
    """Make the store hold a folder as it is now.

    Args:
        folder: with a folder per category, or with documents that say their category.
        corpus: the name of what is ingested; other names in the store are left alone.
        store: opened.
        embedder: whose vectors the store holds.

    Raises:
        NotADirectoryError: there is no such folder.
        StoreUnavailable: the store does not answer.
    """
    known = await store.digests(corpus)
    report = Report()
    seen: set[str] = set()
    for name, read in await asyncio.to_thread(_read_all, folder):
        seen.add(name)
        if isinstance(read, UnreadableDocument):
            report.unreadable.append(str(read))
        else:
            await _ingest_one(read, corpus, known.get(name), store, embedder, report)
    for name in sorted(known.keys() - seen):
        await store.remove(corpus, name)
        report.removed.append(name)
    return report


def name_of(folder: Path) -> str:
    """The corpus' name where none is given."""
    return folder.resolve().name


def _read_all(folder: Path) -> list[tuple[str, Document | UnreadableDocument]]:
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder: nothing to ingest")
    return [(path.relative_to(folder).as_posix(), _read(path, folder)) for path in _files(folder)]


def _read(path: Path, folder: Path) -> Document | UnreadableDocument:
    try:
        return documents.read(path, folder)
    except UnreadableDocument as error:
        return error


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and documents.is_document(path):
            yield path


async def _ingest_one(
    document: Document, corpus: str, known: str | None, store: Store, embedder: Embedder, report: Report
) -> None:
    digest = hashlib.sha256(f"{chunking.VERSION}\n{document!r}".encode()).hexdigest()
    if digest == known:
        report.unchanged += 1
        return
    kept = [
        Stored(
            corpus=corpus,
            document=document.path,
            digest=digest,
            position=position,
            title=document.title,
            url=document.url,
            category=document.category,
            author=document.author,
            heading=passage.heading,
            text=passage.text,
        )
        for position, passage in enumerate(chunking.passages(document))
    ]
    if not kept:
        report.unreadable.append(f"{document.path} has no text")
        return
    vectors = await asyncio.to_thread(embedder.passages, [passage.reading for passage in kept])
    await store.put(kept, vectors)
    report.passages += len(kept)
    (report.changed if known else report.added).append(document.path)
