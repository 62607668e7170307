"""Whether the right documents are found: bars for recall and rank on the corpus, with and without each step."""

from dataclasses import dataclass

import pytest

from rag import self_query
from rag.carried import TokenModel
from rag.embedding import CarriedEmbedder
from rag.llm import Llm, Messages
from rag.pipeline import Pipeline
from rag.reranking import LateInteraction
from rag.store import Store
from support.rag_questions import CASES
from support.rag_services import CORPUS, settings


class Rephrasing(Llm):
    """Gives each question's own rephrasings, or none, and names the author as told."""

    def __init__(self, *, expands: bool, author: str = "none") -> None:
        super().__init__("http://127.0.0.1:1", "tiny", None)
        self._expands = expands
        self._author = author

    async def complete(self, messages: Messages, *, seconds: float, max_tokens: int) -> str:
        if max_tokens == self_query.MAX_TOKENS:
            return self._author
        query = messages[1]["content"]
        case = next((case for case in CASES if case.query == query), None)
        return "\n".join(case.rephrasings) if case and self._expands else ""


@dataclass(frozen=True)
class Quality:
    recall_at_3: float
    recall_at_6: float
    mean_reciprocal_rank: float


async def found(pipeline: Pipeline, query: str) -> list[str]:
    return [each.passages[0].document for each in (await pipeline.find(query, pipeline.record())).ranked]


async def measured(pipeline: Pipeline) -> Quality:
    places = []
    for case in CASES:
        documents = await found(pipeline, case.query)
        places.append(next((at for at, name in enumerate(documents, start=1) if name in case.expected), None))
    count = len(CASES)
    return Quality(
        sum(place is not None and place <= 3 for place in places) / count,
        sum(place is not None for place in places) / count,
        sum(1 / place for place in places if place) / count,
    )


# The rephrasings are by hand and know the documents' words: what a real LLM gives is somewhere between the rows.
@pytest.mark.parametrize(
    ("expands", "reranks", "bar"),
    [
        (False, False, Quality(0.88, 0.91, 0.76)),
        (False, True, Quality(0.79, 0.91, 0.75)),
        (True, False, Quality(0.95, 0.95, 0.93)),
        (True, True, Quality(0.95, 0.95, 0.93)),
    ],
)
async def test_expected_documents_are_among_the_first(
    store: Store, tokens: TokenModel, expands: bool, reranks: bool, bar: Quality
) -> None:
    configuration = settings(CORPUS, sources=6)
    reranker = LateInteraction(tokens) if reranks else None
    llm = Rephrasing(expands=expands)
    quality = await measured(Pipeline(configuration, store, CarriedEmbedder(tokens), reranker, llm))
    await llm.aclose()
    print(f"expansion {expands}, rerank {reranks}: {quality}")
    assert quality.recall_at_3 >= bar.recall_at_3
    assert quality.recall_at_6 >= bar.recall_at_6
    assert quality.mean_reciprocal_rank >= bar.mean_reciprocal_rank


@pytest.mark.parametrize("author", ["Ada Brandt", "Bruno Oyelaran", "Chiara Novak"])
async def test_a_question_for_an_author_brings_only_that_authors_documents(
    store: Store, tokens: TokenModel, author: str
) -> None:
    query = f"What did {author} write about scaling and search?"
    answers = {"named": author, "noise": "lorem lorem lorem", "nobody": "none"}
    authors = {}
    for kind, answer in answers.items():
        llm = Rephrasing(expands=False, author=answer)
        pipeline = Pipeline(settings(CORPUS), store, CarriedEmbedder(tokens), LateInteraction(tokens), llm)
        result = await pipeline.find(query, pipeline.record())
        authors[kind] = {source.author for source in result.sources}
        await llm.aclose()
    assert authors["named"] == authors["noise"] == {author}
    assert len(authors["nobody"]) > 1, "the LLM is believed when it says that nobody is asked for"


async def test_each_category_gives_its_third(store: Store, tokens: TokenModel) -> None:
    vectors = CarriedEmbedder(tokens).queries(["vector search"])
    passages = await store.search(vectors, per_category=3, author=None)
    assert [sum(each.category == name for each in passages) for name in ("posts", "articles", "repositories")] == [
        3
    ] * 3
