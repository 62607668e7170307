"""Models, store and documents become a pipeline; until they are, a sentence says what is missing."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import structlog

from rag import metrics
from rag.carried import TokenModel
from rag.embedding import CarriedEmbedder, Embedder, HubEmbedder
from rag.ingestion import ingest, is_unfinished, name_of
from rag.llm import Llm
from rag.pipeline import Pipeline
from rag.reranking import CrossEncoder, LateInteraction, Reranker
from rag.settings import Settings
from rag.store import Store, connect

CARRIED = "carried"
_RETRY_SECONDS = 2.0
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Models:
    """What reads texts."""

    embedder: Embedder
    reranker: Reranker | None


def load_models(settings: Settings) -> Models:
    """Load, or fetch from the hub. Takes seconds, and minutes the first time.

    Raises:
        ModelUnavailable: one can not be loaded.
        ModuleNotFoundError: the carried model is asked for, and its packages are not installed.
    """
    carried = settings.embedding_model == CARRIED or settings.reranker == "late-interaction"
    tokens = TokenModel(settings.threads) if carried else None
    embedder: Embedder
    if tokens and settings.embedding_model == CARRIED:
        embedder = CarriedEmbedder(tokens)
    else:
        embedder = HubEmbedder(settings.embedding_model, settings.threads)
    if settings.reranker == "cross-encoder":
        return Models(embedder, CrossEncoder(settings.reranker_model, settings.threads))
    return Models(embedder, LateInteraction(tokens) if tokens and settings.reranker == "late-interaction" else None)


async def open_store(settings: Settings, embedder: Embedder) -> Store:
    """The store, ready for this model's vectors.

    Raises:
        StoreUnavailable: it does not answer, or can not be used.
    """
    store = await connect(settings, embedder.name)
    try:
        await store.open(dimensions=(await asyncio.to_thread(embedder.queries, ["dimensions"])).shape[1])
    except BaseException:
        await store.aclose()
        raise
    return store


class Readiness:
    """Loads in the background, again and again until it works.

    Attributes:
        pipeline: None until everything is there.
        message: what is being done, or what failed.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._llm = Llm(
            settings.llm_base_url,
            settings.llm_model,
            settings.openai_api_key.get_secret_value() if settings.openai_api_key else None,
        )
        self._models: Models | None = None
        self._store: Store | None = None
        self.pipeline: Pipeline | None = None
        self.message = "the models are being loaded"

    async def load(self) -> None:
        """Until there is a pipeline."""
        while self.pipeline is None:
            try:
                await self.load_once()
            except Exception as error:  # noqa: BLE001 - a store that comes later, a hub that answers again
                self.message = str(error) or type(error).__name__
                log.warning("not ready", error=self.message)
                await asyncio.sleep(_RETRY_SECONDS)

    async def load_once(self) -> Pipeline:
        """Load what is not loaded yet.

        Raises:
            StoreUnavailable: the store does not answer, or can not be used.
            ModelUnavailable: a model can not be loaded.
        """
        settings = self._settings
        if self._models is None:
            self._models = await asyncio.to_thread(load_models, settings)
        if self._store is None:
            self.message = "the store is being opened"
            self._store = await open_store(settings, self._models.embedder)
        if settings.corpus_dir and await self._lacks(settings.corpus_dir, self._store):
            self.message = f"the documents in {settings.corpus_dir} are being ingested"
            await self._ingest(settings.corpus_dir, self._models.embedder, self._store)
        await self.check()
        self.pipeline = Pipeline(settings, self._store, self._models.embedder, self._models.reranker, self._llm)
        self.message = "ready"
        log.info("ready", model=self._models.embedder.name, reranker=settings.reranker)
        return self.pipeline

    async def check(self) -> None:
        """Whether the store answers now.

        Raises:
            StoreUnavailable: it does not.
        """
        if self._store:
            metrics.PASSAGES.set(await self._store.count())

    async def aclose(self) -> None:
        """Close what is open."""
        await self._llm.aclose()
        if self._store:
            await self._store.aclose()

    async def _lacks(self, folder: Path, store: Store) -> bool:
        """Whether the folder is to be ingested: a server's documents may be others than this image's."""
        return not self._settings.qdrant_url or await is_unfinished(folder, name_of(folder), store)

    async def _ingest(self, folder: Path, embedder: Embedder, store: Store) -> None:
        report = await ingest(folder, name_of(folder), store, embedder)
        log.info("ingested", documents=len(report.added), passages=report.passages, unreadable=report.unreadable)
