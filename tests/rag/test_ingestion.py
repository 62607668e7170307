"""The store follows a folder: nothing twice, changes replace, what is gone goes."""

import errno
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from qdrant_client.local.async_qdrant_local import AsyncQdrantLocal

from rag.embedding import CarriedEmbedder
from rag.ingestion import ingest
from rag.loading import open_store
from rag.store import Store, StoreUnavailable, connect
from support.prometheus import free_port
from support.rag_services import settings

PAGE = "---\ntitle: {title}\nauthor: {author}\n---\n# Cold starts\n\n{text}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    for category, name, author in (("posts", "a", "Ada Brandt"), ("articles", "b", "Bruno Oyelaran")):
        (folder / category).mkdir(parents=True)
        text = PAGE.format(title=name, author=author, text="Weights are large.\n\n" + "More words. " * 200)
        (folder / category / f"{name}.md").write_text(text)
    return folder


@pytest.fixture
async def own_store(tmp_path: Path, embedder: CarriedEmbedder) -> AsyncIterator[Store]:
    store = await open_store(settings(tmp_path / "store"), embedder)
    yield store
    await store.aclose()


async def found(store: Store, embedder: CarriedEmbedder, author: str | None = None) -> set[tuple[str, int, str]]:
    passages = await store.search(embedder.queries(["weights"]), per_category=100, author=author)
    return {(passage.document, passage.position, passage.id) for passage in passages}


async def test_the_same_folder_again_changes_nothing(folder: Path, own_store: Store, embedder: CarriedEmbedder) -> None:
    first = await ingest(folder, "docs", own_store, embedder)
    before = await found(own_store, embedder)
    second = await ingest(folder, "docs", own_store, embedder)
    assert sorted(first.added) == ["articles/b.md", "posts/a.md"]
    assert (second.added, second.changed, second.removed, second.unchanged, second.passages) == ([], [], [], 2, 0)
    assert await found(own_store, embedder) == before
    assert len(before) == first.passages > 4


async def test_a_changed_file_replaces_its_passages_and_leaves_none_behind(
    folder: Path, own_store: Store, embedder: CarriedEmbedder
) -> None:
    await ingest(folder, "docs", own_store, embedder)
    before = {each for each in await found(own_store, embedder) if each[0] == "posts/a.md"}
    (folder / "posts" / "a.md").write_text(PAGE.format(title="a", author="Ada Brandt", text="Now it is short."))
    report = await ingest(folder, "docs", own_store, embedder)
    after = {each for each in await found(own_store, embedder) if each[0] == "posts/a.md"}
    assert report.changed == ["posts/a.md"]
    assert len(after) == 1 < len(before)
    assert after <= before, "the same place keeps its id"


async def test_a_deleted_file_goes_and_another_corpus_stays(
    folder: Path, own_store: Store, embedder: CarriedEmbedder
) -> None:
    await ingest(folder, "docs", own_store, embedder)
    await ingest(folder, "others", own_store, embedder)
    (folder / "posts" / "a.md").unlink()
    report = await ingest(folder, "docs", own_store, embedder)
    assert report.removed == ["posts/a.md"]
    assert (await own_store.digests("docs")).keys() == {"articles/b.md"}
    assert (await own_store.digests("others")).keys() == {"articles/b.md", "posts/a.md"}


async def test_what_can_not_be_read_is_reported_and_what_is_stored_of_it_stays(
    folder: Path, own_store: Store, embedder: CarriedEmbedder
) -> None:
    await ingest(folder, "docs", own_store, embedder)
    (folder / "posts" / "a.md").write_bytes(b"\xff\xfe")
    (folder / "stray.md").write_text("no category")
    report = await ingest(folder, "docs", own_store, embedder)
    assert len(report.unreadable) == 2
    assert "posts/a.md" in await own_store.digests("docs")


async def test_a_name_that_is_no_utf8_ends_no_ingestion(
    folder: Path, own_store: Store, embedder: CarriedEmbedder
) -> None:
    (folder / "posts" / os.fsdecode(b"r\xe9sum\xe9.md")).write_text("text")
    report = await ingest(folder, "docs", own_store, embedder)
    name = r"'posts/r\udce9sum\udce9.md'"
    assert report.unreadable == [f"the name {name} is not UTF-8: rename the file or its folder"]
    assert sorted(report.added) == ["articles/b.md", "posts/a.md"]


@pytest.mark.parametrize("closed", ["posts", "."])
async def test_what_is_stored_of_a_folder_that_can_not_be_read_stays(
    folder: Path, own_store: Store, embedder: CarriedEmbedder, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    await ingest(folder, "docs", own_store, embedder)
    look = os.scandir

    def refused(place: str) -> Any:
        if Path(place) == folder / closed:
            raise PermissionError(errno.EACCES, "Permission denied", place)
        return look(place)

    monkeypatch.setattr(os, "scandir", refused)
    report = await ingest(folder, "docs", own_store, embedder)
    assert (report.removed, report.unreadable) == ([], [f"the folder {closed} can not be read: Permission denied"])
    assert (await own_store.digests("docs")).keys() == {"articles/b.md", "posts/a.md"}


async def test_links_are_followed_within_the_folder_alone(
    folder: Path, own_store: Store, embedder: CarriedEmbedder, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("secret")
    (folder / "posts" / "out.md").symlink_to(tmp_path / "token")
    (folder / "posts" / "in.md").symlink_to("a.md")
    report = await ingest(folder, "docs", own_store, embedder)
    assert report.unreadable == ["posts/out.md is a link that leads out of the folder: put the file itself there"]
    assert sorted(report.added) == ["articles/b.md", "posts/a.md", "posts/in.md"]


async def test_a_readme_that_can_not_be_read_ends_no_ingestion(
    folder: Path, own_store: Store, embedder: CarriedEmbedder
) -> None:
    (folder / "repositories" / "x").mkdir(parents=True)
    (folder / "repositories" / "x" / "README.md").write_bytes(b"\xff\xfe")
    (folder / "repositories" / "x" / "main.go").write_text("package main")
    report = await ingest(folder, "docs", own_store, embedder)
    assert report.unreadable == ["repositories/x/README.md is not UTF-8: invalid start byte"] * 2
    assert sorted(report.added) == ["articles/b.md", "posts/a.md"]


async def test_the_embedded_store_computes_beside_the_event_loop(
    folder: Path, own_store: Store, embedder: CarriedEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ingest(folder, "docs", own_store, embedder)
    searched = []
    search = AsyncQdrantLocal.query_batch_points

    async def watched(*arguments: Any, **more: Any) -> Any:
        searched.append(threading.current_thread())
        return await search(*arguments, **more)

    monkeypatch.setattr(AsyncQdrantLocal, "query_batch_points", watched)
    assert await found(own_store, embedder)
    assert len(searched) == 1
    assert searched[0] is not threading.current_thread()


async def test_a_filter_is_a_part_of_the_search(folder: Path, own_store: Store, embedder: CarriedEmbedder) -> None:
    await ingest(folder, "docs", own_store, embedder)
    assert {name for name, *_ in await found(own_store, embedder, "Bruno Oyelaran")} == {"articles/b.md"}
    assert await own_store.authors() == ["Ada Brandt", "Bruno Oyelaran"]


async def test_a_folder_that_is_not_there_is_said(own_store: Store, embedder: CarriedEmbedder, tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="is not a folder"):
        await ingest(tmp_path / "none", "docs", own_store, embedder)


async def test_vectors_of_another_model_are_not_searched(tmp_path: Path, embedder: CarriedEmbedder) -> None:
    store = await open_store(settings(tmp_path / "store"), embedder)
    await store.aclose()
    other = await connect(settings(tmp_path / "store"), "another-model")
    with pytest.raises(StoreUnavailable, match="holds vectors of all-MiniLM-L6-v2-int8, not of another-model"):
        await other.open(384)
    await other.aclose()


# qdrant-client forgets to close the lock's file that it could not lock.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_an_embedded_store_has_one_owner(own_store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="in use by another process"):
        await connect(settings(tmp_path / "store"), "model")


async def test_a_server_that_is_not_there_is_said(tmp_path: Path, embedder: CarriedEmbedder) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(StoreUnavailable, match=f"the vector store at {url} does not answer"):
        await open_store(settings(tmp_path, qdrant_url=url), embedder)
