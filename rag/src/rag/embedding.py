"""Texts to vectors of length one, by a model of the hub or by the carried one."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag import hub
from rag.carried import TokenModel

Matrix = NDArray[np.float32]


class Embedder(Protocol):
    """Rows of length one, so that a dot product is the cosine."""

    name: str
    """Vectors of two models can not be compared: the store keeps them under this name."""

    def passages(self, texts: Sequence[str]) -> Matrix:
        """One row for each passage."""

    def queries(self, texts: Sequence[str]) -> Matrix:
        """One row for each question."""


class CarriedEmbedder:
    """The mean of the token vectors, as the model's authors take it."""

    def __init__(self, model: TokenModel) -> None:
        self._model = model
        self.name = model.name

    def passages(self, texts: Sequence[str]) -> Matrix:
        """One row for each passage."""
        means = np.array([vectors.mean(axis=0) for vectors in self._model.token_vectors(texts)])
        vectors: Matrix = means / np.linalg.norm(means, axis=1, keepdims=True)
        return vectors

    def queries(self, texts: Sequence[str]) -> Matrix:
        """One row for each question: this model makes no difference."""
        return self.passages(texts)


class HubEmbedder:
    """A model that fastembed knows: loaded from the hub's cache, or from the hub.

    Args:
        name: as fastembed lists it.
        threads: how many compute one batch.

    Raises:
        ModelUnavailable: it can not be loaded, or not be used.
    """

    def __init__(self, name: str, threads: int) -> None:
        from fastembed import TextEmbedding

        self.name = name
        self._model = hub.load(TextEmbedding, name, threads, lambda model: list(model.query_embed("question")))

    def passages(self, texts: Sequence[str]) -> Matrix:
        """One row for each passage."""
        return np.array(list(self._model.passage_embed(list(texts))), dtype=np.float32)

    def queries(self, texts: Sequence[str]) -> Matrix:
        """One row for each question; some models want a prefix, which fastembed gives."""
        return np.array(list(self._model.query_embed(list(texts))), dtype=np.float32)
