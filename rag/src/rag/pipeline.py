"""From a question to an answer: self-query, expansion, search, rerank, prompt, LLM."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import structlog

from rag import citation, expansion, prompt, self_query
from rag.budget import Budget, BudgetSpent
from rag.documents import CATEGORIES
from rag.embedding import Embedder
from rag.llm import Llm, LlmError, Messages
from rag.models import Answer, Source
from rag.prompt import Ranked
from rag.reranking import Reranker
from rag.settings import Settings
from rag.steps import Record
from rag.store import Store, Stored

NOTHING_FOUND = "No document says anything about that."
_AUTHORS_SECONDS = 60.0
"""How long the list of authors is believed."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Found:
    """What the LLM is to read, and what a client is told of it."""

    ranked: list[Ranked]
    sources: list[Source]


class Pipeline:
    """Answers questions from a store.

    Args:
        settings: how much of everything.
        store: opened.
        embedder: whose vectors the store holds.
        reranker: None leaves the order to the vectors.
        llm: answers, and is asked for the author and for rephrasings.
    """

    def __init__(
        self, settings: Settings, store: Store, embedder: Embedder, reranker: Reranker | None, llm: Llm
    ) -> None:
        self._settings = settings
        self._store = store
        self._embedder = embedder
        self._reranker = reranker
        self._llm = llm
        # A thread can not be stopped: those that rerank beyond their time must leave some to the searches.
        self._rerankers = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="rerank")
        self._authors: list[str] = []
        self._authors_read = -_AUTHORS_SECONDS

    def record(self) -> Record:
        """For a request that comes now."""
        return Record(Budget(self._settings.budget_seconds))

    async def answer(self, query: str) -> Answer:
        """The whole answer.

        Raises:
            BudgetSpent: the time ran out.
            LlmError: the LLM gave no answer.
            StoreUnavailable: the store does not answer.
        """
        record = self.record()
        found = await self.find(query, record)
        try:
            async with asyncio.timeout(record.budget.needed("generation")):
                text = "".join([piece async for piece in self.generate(query, found, record)])
        except TimeoutError as error:
            raise BudgetSpent("the budget of the request ran out while the LLM answered") from error
        sources = citation.arranged(found.sources, text)
        return Answer(answer=text, sources=sources, timings=record.finish(), degraded=record.degraded)

    async def find(self, query: str, record: Record) -> Found:
        """The documents for a question.

        Raises:
            BudgetSpent: the time ran out.
            StoreUnavailable: the store does not answer.
        """
        async with _searching(record):
            authors = await self._known_authors()
        # Both ask the LLM, and neither needs the other.
        author, rephrasings = await asyncio.gather(
            self._author(query, authors, record), self._rephrasings(query, record)
        )
        queries = [query, *rephrasings]
        with record.step("retrieval"):
            passages = await self._search(queries, author, record)
        with record.step("rerank"):
            scores = await self._scores(queries, passages, record)
        ranked = prompt.ranked(passages, scores, self._settings.sources)
        return Found(ranked, [_source(number, each) for number, each in enumerate(ranked, start=1)])

    async def generate(self, query: str, found: Found, record: Record) -> AsyncGenerator[str]:
        """The LLM's answer in pieces.

        Raises:
            BudgetSpent: the time ran out before the LLM was asked.
            LlmError: there is no answer, or it broke off.
        """
        with record.step("generation"):
            if not found.ranked:
                yield NOTHING_FOUND
                return
            seconds = record.budget.needed("generation")
            messages = prompt.messages(query, found.ranked, self._settings.context_characters)
            answer = self._llm.stream(messages, seconds=seconds, max_tokens=self._settings.max_tokens)
            pieces = []
            async with aclosing(answer):
                async for piece in answer:
                    pieces.append(piece)
                    yield piece
            if missing := citation.unknown(found.sources, "".join(pieces)):
                record.degrade("generation", f"the answer names sources that there are not: {missing}")

    async def _author(self, query: str, authors: Sequence[str], record: Record) -> str | None:
        if not authors:
            return None
        with record.step("self_query"):
            messages = self_query.messages(query, authors)
            answer = await self._aside("self-query", messages, self_query.MAX_TOKENS, record)
            if answer is None:
                return self_query.mentioned(query, authors)
            try:
                return self_query.author(answer, authors)
            except self_query.NonsenseAnswer as error:
                record.degrade("self-query", f"{error}; the question itself was searched for a name")
                return self_query.mentioned(query, authors)

    async def _rephrasings(self, query: str, record: Record) -> list[str]:
        count = self._settings.queries - 1
        if count == 0:
            return []
        with record.step("expansion"):
            messages = expansion.messages(query, count)
            answer = await self._aside("expansion", messages, expansion.MAX_TOKENS, record)
            if answer is None:
                return []
            found = expansion.rephrasings(answer, query, count)
            if not found:
                record.degrade("expansion", "the LLM's answer holds no rephrasing")
            return found

    async def _aside(self, step: str, messages: Messages, max_tokens: int, record: Record) -> str | None:
        """Ask the LLM for what an answer can do without; None where there was no time or no answer."""
        settings = self._settings
        seconds = record.budget.spare(settings.step_seconds, settings.generation_reserve_seconds)
        if seconds <= 0:
            record.degrade(step, "left out, the budget is too short")
            return None
        try:
            return await self._llm.complete(messages, seconds=seconds, max_tokens=max_tokens)
        except LlmError as error:
            record.degrade(step, f"left out, {error}")
            return None

    async def _search(self, queries: Sequence[str], author: str | None, record: Record) -> list[Stored]:
        per_category = self._settings.k // len(CATEGORIES)
        async with _searching(record):
            vectors = await asyncio.to_thread(self._embedder.queries, queries)
            return await self._store.search(vectors, per_category=per_category, author=author)

    async def _scores(self, queries: Sequence[str], passages: Sequence[Stored], record: Record) -> list[float]:
        by_vectors = [passage.score for passage in passages]
        if self._reranker is None or not passages:
            return by_vectors
        settings = self._settings
        reading = [passage.reading for passage in passages]
        # All but what the answer needs: one in the order of the vectors is better than none.
        seconds = record.budget.spare(settings.budget_seconds, settings.generation_reserve_seconds)
        reason = "the budget is too short"
        if seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    loop = asyncio.get_running_loop()
                    return await loop.run_in_executor(self._rerankers, self._reranker.scores, queries, reading)
            except TimeoutError:
                pass
            except Exception as error:  # noqa: BLE001 - what onnxruntime raises has no base but this
                log.warning("the reranker failed", error=str(error))
                reason = "the model failed, the service's log tells why"
        record.degrade("rerank", f"left out, {reason}")
        return by_vectors

    async def _known_authors(self) -> list[str]:
        if time.monotonic() - self._authors_read >= _AUTHORS_SECONDS:
            self._authors = await self._store.authors()
            self._authors_read = time.monotonic()
        return self._authors


@asynccontextmanager
async def _searching(record: Record) -> AsyncIterator[None]:
    """No longer than the budget of the request lasts."""
    try:
        async with asyncio.timeout(record.budget.needed("retrieval")):
            yield
    except TimeoutError as error:
        raise BudgetSpent("the budget of the request ran out while documents were searched") from error


def _source(number: int, ranked: Ranked) -> Source:
    first = ranked.passages[0]
    return Source(
        id=number,
        title=first.title,
        url=first.url,
        category=first.category,
        author=first.author,
        score=round(ranked.score, 4),
    )
