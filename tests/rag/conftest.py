"""The corpus in an embedded store, made once, and a scripted LLM."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from rag.carried import TokenModel
from rag.embedding import CarriedEmbedder
from rag.ingestion import ingest
from rag.loading import open_store
from rag.store import Store
from support.prometheus import free_port
from support.rag_services import CORPUS, settings
from support.scripted_llm import ScriptedLlm
from support.servers import listening


@pytest.fixture(scope="session")
def tokens() -> TokenModel:
    return TokenModel(threads=2)


@pytest.fixture(scope="session")
def embedder(tokens: TokenModel) -> CarriedEmbedder:
    return CarriedEmbedder(tokens)


@pytest.fixture(scope="session")
def ingested(tmp_path_factory: pytest.TempPathFactory, embedder: CarriedEmbedder) -> Path:
    """Where the corpus is stored."""
    place = tmp_path_factory.mktemp("store")

    async def fill() -> None:
        store = await open_store(settings(place), embedder)
        report = await ingest(CORPUS, "corpus", store, embedder)
        await store.aclose()
        assert not report.unreadable
        assert len(report.added) == 42

    asyncio.run(fill())
    return place


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub's, and no hub."""
    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return folder


@pytest.fixture
async def store(ingested: Path, embedder: CarriedEmbedder) -> AsyncIterator[Store]:
    """The corpus, to be read."""
    opened = await open_store(settings(ingested), embedder)
    yield opened
    await opened.aclose()


@pytest.fixture
async def llm() -> AsyncIterator[tuple[ScriptedLlm, str]]:
    """A scripted LLM and its address."""
    server = ScriptedLlm()
    port = free_port()
    async with listening(server.app(), port):
        yield server, f"http://127.0.0.1:{port}"
