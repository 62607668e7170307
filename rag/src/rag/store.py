"""Passages and their vectors in Qdrant: a server, or embedded in this process."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from http import HTTPStatus
from typing import Any, TypeVar

import httpx
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

from rag.documents import CATEGORIES
from rag.embedding import Matrix
from rag.settings import Settings

Result = TypeVar("Result")
_NAMESPACE = uuid.UUID("6f2f1bb0-3c0e-5d0a-9a55-4d1c5a3b6f10")
_INDEXED = {
    **dict.fromkeys(("corpus", "document", "category", "author"), models.PayloadSchemaType.KEYWORD),
    "position": models.PayloadSchemaType.INTEGER,
}
_MOST_AUTHORS = 1000
_PAGE = 256


class StoreUnavailable(Exception):
    """The store does not answer, or holds what this service can not use; the sentence says which."""


@dataclass(frozen=True)
class Stored:
    """A passage as it is kept."""

    corpus: str
    """The name of what was ingested together: a document that is gone from it goes from here."""
    document: str
    digest: str
    """Of the file, and of how it was cut: the same digest is not ingested again."""
    position: int
    """Within its document."""
    title: str
    url: str
    category: str
    author: str | None
    heading: str
    text: str
    score: float = 0.0
    """How near it is to the query; given by a search."""

    @property
    def id(self) -> str:
        """Always the same for this place in this document."""
        return str(uuid.uuid5(_NAMESPACE, f"{self.corpus}\n{self.document}\n{self.position}"))

    @property
    def reading(self) -> str:
        """What the models read: a passage alone often does not say what it is about."""
        return "\n".join(part for part in (self.title, self.heading, self.text) if part)


_FIELDS = frozenset(field.name for field in fields(Stored)) - {"score"}


class Store:
    """One collection. Its vectors carry the model's name, so that two models never meet.

    Args:
        client: what talks to Qdrant.
        place: where it is, for sentences.
        collection: its name.
        model: the embedding model's name.
        embedded: whether it is in this process.
    """

    def __init__(
        self, client: AsyncQdrantClient, place: str, collection: str, model: str, *, embedded: bool = False
    ) -> None:
        self._client = client
        self._place = place
        self._collection = collection
        self._embedded = embedded
        # A server makes folders of these names.
        self._model = model.replace("/", "_")

    async def open(self, dimensions: int) -> None:
        """Make the collection where there is none.

        Raises:
            StoreUnavailable: the store does not answer, or the collection holds another model's vectors.
        """
        async with self._answering():
            if not await self._client.collection_exists(self._collection):
                vectors = {self._model: models.VectorParams(size=dimensions, distance=models.Distance.COSINE)}
                await self._create(vectors)
            await self._index()
            vectors_config = (await self._client.get_collection(self._collection)).config.params.vectors
        if not isinstance(vectors_config, dict) or self._model not in vectors_config:
            held = ", ".join(vectors_config) if isinstance(vectors_config, dict) else "an unnamed model"
            raise StoreUnavailable(
                f"the collection {self._collection} holds vectors of {held}, not of {self._model}: "
                "set RAG_EMBEDDING_MODEL to that model, or RAG_COLLECTION to another name and ingest again"
            )

    async def count(self) -> int:
        """Passages; also whether the store answers."""
        async with self._answering():
            return (await self._client.count(self._collection, exact=False)).count

    async def holds_others(self, corpus: str) -> bool:
        """Whether there are passages of another corpus."""
        others = models.Filter(must_not=_where(corpus=corpus).must)
        async with self._answering():
            return (await self._client.count(self._collection, count_filter=others)).count > 0

    async def authors(self) -> list[str]:
        """All who wrote a document, those with most passages first."""
        async with self._answering():
            found = await self._read(self._client.facet(self._collection, key="author", limit=_MOST_AUTHORS))
        return [str(hit.value) for hit in found.hits]

    async def search(self, queries: Matrix, *, per_category: int, author: str | None) -> list[Stored]:
        """What is nearest to any of the queries, each passage once with its best score, the best first."""
        requests = [
            models.QueryRequest(
                query=[float(number) for number in query],
                using=self._model,
                filter=_where(category=category, author=author),
                limit=per_category,
                with_payload=True,
            )
            for query in queries
            for category in CATEGORIES
        ]
        async with self._answering():
            answers = await self._read(self._client.query_batch_points(self._collection, requests))
        best: dict[str | int | uuid.UUID, Stored] = {}
        for point in (point for answer in answers for point in answer.points):
            if point.id not in best or best[point.id].score < point.score:
                best[point.id] = replace(_stored(point.payload), score=point.score)
        return sorted(best.values(), key=lambda passage: passage.score, reverse=True)

    async def digests(self, corpus: str) -> dict[str, str]:
        """Of each document of a corpus."""
        found: dict[str, str] = {}
        offset = None
        async with self._answering():
            while True:
                points, offset = await self._client.scroll(
                    self._collection,
                    scroll_filter=_where(corpus=corpus, position=0),
                    limit=_PAGE,
                    offset=offset,
                    with_payload=["document", "digest"],
                )
                found |= {point.payload["document"]: point.payload["digest"] for point in points if point.payload}
                if offset is None:
                    return found

    async def put(self, passages: Sequence[Stored], vectors: Matrix) -> None:
        """Put a document's passages in the place of those that it had; between the two no passage is missing."""
        points = [
            models.PointStruct(
                id=passage.id,
                vector={self._model: [float(number) for number in vector]},
                payload={name: value for name, value in vars(passage).items() if name != "score"},
            )
            for passage, vector in zip(passages, vectors, strict=True)
        ]
        first = passages[0]
        # Position 0 goes last: it carries the digest that says the document is whole.
        async with self._answering():
            for start in range(len(points) - 1, -1, -_PAGE):
                await self._client.upsert(self._collection, points[max(start - _PAGE + 1, 0) : start + 1])
        await self._remove(_where(corpus=first.corpus, document=first.document, beyond=len(passages)))

    async def remove(self, corpus: str, document: str) -> None:
        """Forget a document."""
        await self._remove(_where(corpus=corpus, document=document))

    async def aclose(self) -> None:
        """Close what is open; an embedded store may then be opened by another process."""
        await self._client.close()

    async def _create(self, vectors: dict[str, models.VectorParams]) -> None:
        try:
            await self._client.create_collection(self._collection, vectors_config=vectors)
        except UnexpectedResponse as error:
            if error.status_code != HTTPStatus.CONFLICT:  # another replica that starts was faster
                raise

    async def _read(self, call: Coroutine[Any, Any, Result]) -> Result:
        """Ask for what takes long. The embedded store computes in its caller's thread, where all requests would wait.

        Only where nobody writes: it knows no locks, and the service writes before it answers the first question.
        """
        return await (asyncio.to_thread(asyncio.run, call) if self._embedded else call)

    async def _remove(self, where: models.Filter) -> None:
        async with self._answering():
            await self._client.delete(self._collection, models.FilterSelector(filter=where))

    async def _index(self) -> None:
        if not self._embedded:  # the embedded store reads all it has, and warns of indexes
            for field, kind in _INDEXED.items():
                await self._client.create_payload_index(self._collection, field, field_schema=kind)

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[None]:
        try:
            yield
        except (ApiException, QdrantException, httpx.HTTPError, OSError) as error:
            raise StoreUnavailable(f"the vector store at {self._place} does not answer: {error}") from error


async def connect(settings: Settings, model: str) -> Store:
    """The store that the settings name; not yet opened.

    Raises:
        StoreUnavailable: the embedded store is in use by another process.
    """
    if settings.qdrant_url:
        key = settings.qdrant_api_key.get_secret_value() if settings.qdrant_api_key else None
        client = AsyncQdrantClient(url=settings.qdrant_url, api_key=key, timeout=10, check_compatibility=False)
        return Store(client, settings.qdrant_url, settings.collection, model)
    try:
        client = await asyncio.to_thread(
            AsyncQdrantClient, path=str(settings.store_path), force_disable_check_same_thread=True
        )
    except RuntimeError as error:
        raise StoreUnavailable(
            f"the embedded store in {settings.store_path} is in use by another process: stop that one, "
            "or run a Qdrant server and set QDRANT_URL"
        ) from error
    return Store(client, str(settings.store_path), settings.collection, model, embedded=True)


def _where(*, beyond: int | None = None, position: int | None = None, **keywords: str | None) -> models.Filter:
    must: list[models.Condition] = [
        models.FieldCondition(key=key, match=models.MatchValue(value=value))
        for key, value in keywords.items()
        if value is not None
    ]
    if position is not None:
        must.append(models.FieldCondition(key="position", match=models.MatchValue(value=position)))
    if beyond is not None:
        must.append(models.FieldCondition(key="position", range=models.Range(gte=beyond)))
    return models.Filter(must=must)


def _stored(payload: models.Payload | None) -> Stored:
    """What is more than a passage's own fields was added by somebody else, and is left alone.

    Raises:
        StoreUnavailable: it is not one of this service's.
    """
    try:
        return Stored(**{name: value for name, value in (payload or {}).items() if name in _FIELDS})
    except TypeError as error:
        raise StoreUnavailable(
            "the collection holds points that this service did not write: set RAG_COLLECTION to another name and "
            f"ingest again ({error})"
        ) from error
