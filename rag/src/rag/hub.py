"""Models out of the Hugging Face hub's cache, or out of the hub."""

from collections.abc import Callable
from typing import TypeVar

Model = TypeVar("Model")


class ModelUnavailable(Exception):
    """A model is neither in the cache nor to be had, or is broken; the sentence says what can be done."""


def load(kind: Callable[..., Model], name: str, threads: int, first_use: Callable[[Model], object]) -> Model:
    """A model of fastembed's. The cache is the hub's own, so HF_HOME and HF_HUB_OFFLINE mean what they always mean.

    Args:
        kind: fastembed's class.
        name: as fastembed lists it.
        threads: how many compute one batch.
        first_use: computes something, for a model that wants other inputs loads well.

    Raises:
        ModelUnavailable: it can not be loaded, or not be used.
    """
    from huggingface_hub import constants

    try:
        model = kind(name, cache_dir=constants.HF_HUB_CACHE, threads=threads)
        first_use(model)
    except Exception as error:  # what onnxruntime and tokenizers raise has no base but this
        raise ModelUnavailable(
            f"the model {name} can not be had from {constants.HF_HUB_CACHE} or the hub, or is broken ({error}): fill "
            "that cache anew, or install llm-twin-rag[carried] and set RAG_EMBEDDING_MODEL=carried "
            "RAG_RERANKER=late-interaction"
        ) from error
    return model
