"""How well a passage answers the question, read together: a second look at what the vectors brought."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from rag import hub
from rag.carried import TokenModel, Vectors


class Reranker(Protocol):
    """Scores that are comparable within one call."""

    def scores(self, queries: Sequence[str], passages: Sequence[str]) -> list[float]:
        """One score for each passage; higher is better. The question comes first, then its rephrasings."""


class CrossEncoder:
    """A model that reads question and passage as one text: the best of the three, and the slowest.

    Args:
        name: as fastembed lists it.
        threads: how many compute one batch.

    Raises:
        ModelUnavailable: it can not be loaded, or not be used.
    """

    def __init__(self, name: str, threads: int) -> None:
        from fastembed.rerank.cross_encoder import TextCrossEncoder

        self._model = hub.load(
            TextCrossEncoder, name, threads, lambda model: list(model.rerank("question", ["passage"]))
        )

    def scores(self, queries: Sequence[str], passages: Sequence[str]) -> list[float]:
        """The model's logits, for the question alone: each rephrasing would cost as much again."""
        return [float(score) for score in self._model.rerank(queries[0], list(passages))]


class LateInteraction:
    """Each token of the question looks for its nearest in the passage; the mean of those cosines is the score.

    The MaxSim of ColBERT (Khattab and Zaharia 2020), here over a model that was not trained for it.
    """

    def __init__(self, model: TokenModel) -> None:
        self._model = model

    def scores(self, queries: Sequence[str], passages: Sequence[str]) -> list[float]:
        """The mean over all queries, between -1 and 1: the passages' vectors are what costs time, and are there."""
        asked = [_of_length_one(each) for each in self._model.token_vectors(queries)]
        given = [_of_length_one(each) for each in self._model.token_vectors(passages)]
        return [float(np.mean([(query @ each.T).max(axis=1).mean() for query in asked])) for each in given]


def _of_length_one(vectors: Vectors) -> Vectors:
    # The marks of a text's begin and end resemble each other in any two texts.
    inner = vectors[1:-1] if len(vectors) > 2 else vectors
    normed: Vectors = inner / np.linalg.norm(inner, axis=1, keepdims=True)
    return normed
