"""The wire: what a client sends and gets. Names are camelCase in JSON."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

MAX_QUERY_CHARACTERS = 4000


class _Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Question(_Wire):
    """What is asked."""

    query: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_QUERY_CHARACTERS)]
    stream: bool = Field(default=False, description="Answer as POST /rag/stream does.")


class Source(_Wire):
    """A document that the LLM was given. The answer names it by its number, as in ``[1]``."""

    id: int
    title: str
    url: str
    category: str
    author: str | None
    score: float = Field(description="The reranker's; only comparable within one answer.")


class Timings(_Wire):
    """Seconds per step. Self-query and expansion run side by side, so the sum may be above the total."""

    self_query: float = 0.0
    expansion: float = 0.0
    retrieval: float = 0.0
    rerank: float = 0.0
    generation: float = 0.0
    total: float = 0.0


class Answer(_Wire):
    """An answer and what it rests on."""

    answer: str
    sources: list[Source] = Field(description="Those that the answer names come first.")
    timings: Timings
    degraded: list[str] = Field(default=[], description="Sentences about steps that were left out or went wrong.")


class Failure(_Wire):
    """What went wrong, in OpenAI's form."""

    class Error(_Wire):
        """One sentence."""

        message: str

    error: Error


class Health(_Wire):
    """Whether questions are answered now."""

    status: str
    message: str
