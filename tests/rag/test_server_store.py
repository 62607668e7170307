"""The store as a server: the same documents, found by HTTP, and a server that goes away and comes back."""

import asyncio
import shutil
from pathlib import Path

import pytest
from qdrant_client import AsyncQdrantClient, models

from rag.embedding import CarriedEmbedder
from rag.ingestion import ingest, is_unfinished
from rag.loading import open_store
from rag.store import StoreUnavailable
from support.prometheus import free_port
from support.qdrant_facade import QdrantFacade
from support.rag_services import CORPUS, serving, settings, until_ready
from support.scripted_llm import ScriptedLlm
from support.servers import listening

QUESTION = {"query": "What did Ada Brandt write about cold starts?"}
NAMES = ("posts/ada-cold-starts.md", "posts/ada-spot.md", "articles/bruno-hnsw.md")


@pytest.mark.parametrize("scheme", ["http://", ""])
async def test_documents_are_ingested_searched_and_removed_over_http(
    tmp_path: Path, embedder: CarriedEmbedder, scheme: str
) -> None:
    folder = tmp_path / "docs"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CORPUS / name, folder / name)
    server, port = QdrantFacade(), free_port()
    async with listening(server.app(), port):
        store = await open_store(settings(tmp_path, qdrant_url=f"{scheme}127.0.0.1:{port}"), embedder)
        first = await ingest(folder, "docs", store, embedder)
        assert sorted(first.added) == sorted(NAMES)
        assert (await ingest(folder, "docs", store, embedder)).unchanged == 3
        (folder / NAMES[1]).unlink()
        assert (await ingest(folder, "docs", store, embedder)).removed == [NAMES[1]]
        assert await store.authors() == ["Bruno Oyelaran", "Ada Brandt"]
        found = await store.search(embedder.queries(["weights"]), per_category=3, author="Ada Brandt")
        assert {passage.document for passage in found} == {NAMES[0]}
        await store.aclose()
    assert server.indexed == {
        "corpus": "keyword", "document": "keyword", "category": "keyword", "author": "keyword", "position": "integer",
    }  # fmt: skip


async def test_a_server_that_goes_away_is_said_and_one_that_comes_back_is_used(
    tmp_path: Path, llm: tuple[ScriptedLlm, str]
) -> None:
    folder = tmp_path / "docs" / "posts"
    folder.mkdir(parents=True)
    shutil.copy(CORPUS / NAMES[0], folder)
    server, port = QdrantFacade(), free_port()
    url = f"http://127.0.0.1:{port}"
    configuration = settings(tmp_path, llm_base_url=llm[1], qdrant_url=url, corpus_dir=folder.parent)
    async with listening(server.app(), port), serving(configuration) as client:
        await until_ready(client)
        assert (await client.post("/rag", json=QUESTION)).status_code == 200
        server.away = True
        health = await client.get("/healthz")
        assert health.status_code == 503
        assert f"the vector store at {url} does not answer" in health.json()["message"]
        refused = await client.post("/rag", json=QUESTION)
        assert refused.status_code == 503
        assert "does not answer" in refused.json()["error"]["message"]
        server.away, server.busy = False, True
        assert "does not answer: busy" in (await client.get("/healthz")).json()["message"]
        assert (await client.post("/rag", json=QUESTION)).status_code == 503
        server.busy = False
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.post("/rag", json=QUESTION)).status_code == 200


async def test_a_server_that_says_nothing_costs_no_more_than_the_budget(
    tmp_path: Path, llm: tuple[ScriptedLlm, str]
) -> None:
    server, port = QdrantFacade(), free_port()
    changes = {"llm_base_url": llm[1], "qdrant_url": f"http://127.0.0.1:{port}", "budget_seconds": 0.5}
    async with listening(server.app(), port), serving(settings(tmp_path, **changes)) as client:
        await until_ready(client)
        server.silent = True
        async with asyncio.timeout(5):
            assert (await client.post("/rag", json=QUESTION)).status_code == 504
        server.silent = False


async def test_a_collection_that_another_replica_made_meanwhile_is_used(
    tmp_path: Path, embedder: CarriedEmbedder
) -> None:
    server, port = QdrantFacade(), free_port()
    configuration = settings(tmp_path, qdrant_url=f"http://127.0.0.1:{port}")
    async with listening(server.app(), port):
        await (await open_store(configuration, embedder)).aclose()
        server.slow_to_know = True
        second = await open_store(configuration, embedder)
        assert await second.count() == 0
        await second.aclose()


async def test_an_interrupted_ingestion_is_told_from_documents_of_others(
    tmp_path: Path, embedder: CarriedEmbedder
) -> None:
    folder = tmp_path / "docs"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CORPUS / name, folder / name)
    server, port = QdrantFacade(), free_port()
    async with listening(server.app(), port):
        store = await open_store(settings(tmp_path, qdrant_url=f"http://127.0.0.1:{port}"), embedder)
        assert await is_unfinished(folder, "docs", store), "nothing is there"
        await ingest(folder, "docs", store, embedder)
        assert not await is_unfinished(folder, "docs", store)
        await store.remove("docs", NAMES[1])
        assert await is_unfinished(folder, "docs", store)
        (folder / NAMES[0]).write_text("---\ntitle: another\n---\nAnother text.")
        assert not await is_unfinished(folder, "docs", store), "its owner has other documents"
        shutil.copy(CORPUS / NAMES[0], folder / NAMES[0])
        await ingest(folder, "others", store, embedder)
        assert not await is_unfinished(folder, "docs", store), "and another corpus"
        await store.aclose()


async def test_what_others_write_into_the_collection_is_left_alone_or_said(
    tmp_path: Path, embedder: CarriedEmbedder
) -> None:
    folder = tmp_path / "docs"
    (folder / "posts").mkdir(parents=True)
    shutil.copy(CORPUS / NAMES[0], folder / NAMES[0])
    port = free_port()
    configuration = settings(tmp_path, qdrant_url=f"http://127.0.0.1:{port}")
    async with listening(QdrantFacade().app(), port):
        store = await open_store(configuration, embedder)
        await ingest(folder, "docs", store, embedder)
        query = embedder.queries(["weights"])
        before = await store.search(query, per_category=9, author=None)

        others = AsyncQdrantClient(url=configuration.qdrant_url, check_compatibility=False)
        vector = {embedder.name: query[0].tolist()}
        (place, *_), _ = await others.scroll(configuration.collection)
        noted = models.PointStruct(id=place.id, vector=vector, payload={**place.payload, "reviewedBy": "jane"})
        await others.upsert(configuration.collection, [noted])
        after = await store.search(query, per_category=9, author=None)
        assert {passage.id for passage in after} == {passage.id for passage in before}

        strange = models.PointStruct(id=1, vector=vector, payload={"category": "posts", "body": "text"})
        await others.upsert(configuration.collection, [strange])
        with pytest.raises(StoreUnavailable, match="that this service did not write: set RAG_COLLECTION"):
            await store.search(query, per_category=9, author=None)
        await others.close()
        await store.aclose()
