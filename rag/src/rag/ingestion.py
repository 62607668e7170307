"""A folder of documents goes into the store: what is new or changed is embedded, what is gone is forgotten."""

import asyncio
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

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
    paths, closed = await asyncio.to_thread(_files, folder)
    report.unreadable += [f"the folder {place} can not be read: {reason}" for place, reason in closed.items()]
    for path in paths:
        name = path.relative_to(folder).as_posix()
        seen.add(name)
        read = await asyncio.to_thread(_read, path, folder)
        if isinstance(read, UnreadableDocument):
            report.unreadable.append(str(read))
        else:
            await _ingest_one(read, corpus, known.get(name), store, embedder, report)
    gone = (name for name in known.keys() - seen if not any(map(PurePosixPath(name).is_relative_to, closed)))
    for name in sorted(gone):
        await store.remove(corpus, name)
        report.removed.append(name)
    return report


def name_of(folder: Path) -> str:
    """The corpus' name where none is given."""
    return folder.resolve().name


async def is_unfinished(folder: Path, corpus: str, store: Store) -> bool:
    """Whether the store holds a part of a folder or nothing, and nothing else: as an interrupted ingestion leaves it.

    Raises:
        NotADirectoryError: there is no such folder.
        StoreUnavailable: the store does not answer.
    """
    if await store.holds_others(corpus):
        return False
    known = await store.digests(corpus)
    return known.items() < (await asyncio.to_thread(_digests, folder)).items()


def _digests(folder: Path) -> dict[str, str]:
    every = (_read(path, folder) for path in _files(folder)[0])
    return {read.path: _digest(read) for read in every if isinstance(read, Document) and chunking.passages(read)}


def _digest(document: Document) -> str:
    return hashlib.sha256(f"{chunking.VERSION}\n{document!r}".encode()).hexdigest()


def _read(path: Path, folder: Path) -> Document | UnreadableDocument:
    try:
        return documents.read(path, folder)
    except UnreadableDocument as error:
        return error


def _files(folder: Path) -> tuple[list[Path], dict[str, str]]:
    """All documents; and which folders within can not be read, and why."""
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder: nothing to ingest")
    closed: dict[str, str] = {}

    def note(error: OSError) -> None:
        if not _is_hidden(place := Path(error.filename), folder):
            closed[place.relative_to(folder).as_posix()] = error.strerror or type(error).__name__

    paths = (Path(place, name) for place, _, names in os.walk(folder, onerror=note) for name in names)
    return sorted(path for path in paths if _is_document(path, folder)), closed


def _is_document(path: Path, folder: Path) -> bool:
    return not _is_hidden(path, folder) and documents.is_document(path) and path.is_file()


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


async def _ingest_one(
    document: Document, corpus: str, known: str | None, store: Store, embedder: Embedder, report: Report
) -> None:
    digest = _digest(document)
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
