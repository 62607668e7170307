"""What may be set from outside, by environment variables, and why the defaults are what they are."""

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Variables ``RAG_*``, and those that the operator injects or that others have named already."""

    model_config = SettingsConfigDict(env_prefix="RAG_", populate_by_name=True, extra="ignore")

    llm_base_url: str = Field(default="http://127.0.0.1:8080", validation_alias=AliasChoices("LLM_BASE_URL"))
    """``http://host:port`` of an OpenAI API, without ``/v1``."""
    llm_model: str = Field(default="model", validation_alias=AliasChoices("LLM_MODEL"))
    openai_api_key: SecretStr | None = Field(default=None, validation_alias=AliasChoices("OPENAI_API_KEY"))
    host: str = "0.0.0.0"  # noqa: S104 - it serves the pod
    port: int = Field(default=8000, validation_alias=AliasChoices("PORT", "RAG_PORT"))

    qdrant_url: str | None = Field(default=None, validation_alias=AliasChoices("QDRANT_URL"))
    """A Qdrant server. Without one the store is embedded: one process, one folder."""
    qdrant_api_key: SecretStr | None = Field(default=None, validation_alias=AliasChoices("QDRANT_API_KEY"))
    store_path: Path = Path("/tmp/llm-twin-rag")  # noqa: S108 - the one folder that a hardened pod can write
    collection: str = "documents"
    corpus_dir: Path | None = None
    """Ingested at start: an embedded store follows it; a server gets it while it holds nothing else."""

    embedding_model: str = "sentence-transformers/all-MiniLM-L6-v2"
    """A model of fastembed's list, from the hub; ``carried`` takes one out of a package."""
    reranker: Literal["cross-encoder", "late-interaction", "off"] = "cross-encoder"
    """``late-interaction`` compares token vectors of the carried model: no hub, faster, less exact."""
    reranker_model: str = "Xenova/ms-marco-MiniLM-L-6-v2"
    threads: int = 2
    """Threads of the embedding model and of the reranker, each."""

    queries: int = Field(default=3, ge=1, le=10)
    """The question and its rephrasings."""
    k: int = Field(default=9, ge=3, le=300)
    """Passages that each query brings, a third of them from each category."""
    sources: int = Field(default=5, ge=1, le=20)
    """Documents in the prompt."""
    context_characters: int = Field(default=4500, ge=200)
    """Of sources in the prompt: about 1,200 tokens, so that an engine with 2,048 of input takes it."""
    max_tokens: int = Field(default=512, ge=1)
    """Tokens of an answer."""
    max_body_bytes: int = 65_536
    budget_seconds: float = Field(default=60.0, gt=0)
    """What all steps of a request may take together, until the first token of a stream. A stream may then go on."""
    step_seconds: float = Field(default=8.0, gt=0)
    """What self-query and expansion may take at most: an answer without them is better than none."""
    generation_reserve_seconds: float = Field(default=10.0, ge=0)
    """Self-query, expansion and reranking are left out rather than that less remains for the answer."""
