"""Engine profiles: the constants of the engine model, where they come from, and what follows from them in closed form.

One iteration of continuous batching takes alpha + beta x sequences + gamma x prompt tokens read in it + kappa x tokens
that these sequences have in the KV cache.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BLOCK_TOKENS = 16
"""Tokens of one KV cache block, vLLM's default."""


class UnknownProfile(ValueError):
    """There is no such profile, or its file can not be read; the message says what to do."""


@dataclass(frozen=True)
class EngineProfile:
    """One replica of an engine with a model on some GPUs. Times are in seconds."""

    name: str
    description: str
    gpus: int
    alpha: float
    """Of an iteration, whatever is in it: reading the weights."""
    beta: float
    """Per sequence of an iteration."""
    gamma: float
    """Per prompt token that an iteration reads."""
    kappa: float
    """Per token of KV cache that an iteration attends to."""
    max_num_seqs: int
    max_num_batched_tokens: int
    kv_tokens: int

    @property
    def kv_blocks(self) -> int:
        """Blocks of the KV cache."""
        return self.kv_tokens // BLOCK_TOKENS

    def prefill_steps(self, prompt: Integers) -> Integers:
        """Iterations that read a prompt when nothing else runs."""
        return np.maximum(-(-prompt // self.max_num_batched_tokens), 1)

    def unloaded_prefill_seconds(self, prompt: Integers) -> Floats:
        """Time to first token on an idle replica: n chunks of at most C tokens, each attending to those before it.

        n x (alpha + beta) + gamma x prompt + kappa x C x n (n - 1) / 2
        """
        steps = self.prefill_steps(prompt)
        return steps * (self.alpha + self.beta) + self.gamma * prompt + self.kappa * self._attended_in_prefill(steps)

    def replica_seconds(self, prompt: Integers, output: Integers) -> Floats:
        """What a request costs a replica that is full of its like: 1 / (requests per second at saturation).

        A request takes part in s = n + output - 1 iterations, n of which read its prompt. It pays beta for each, gamma
        for its prompt, and kappa for what it attends to. Alpha is shared by those that take part in an iteration: it
        has room for S sequences, for C tokens and for the tokens of the KV cache, so a request pays for the largest of

            s / S,  (prompt + output - 1) / C,  (s x prompt + output (output - 1) / 2) / KV tokens

        iterations: that it uses one of the slots, that its tokens are taken, and that its KV is held. Preemption, which
        a full KV cache brings about, comes on top.
        """
        chunks, decodes = self.prefill_steps(prompt), output - 1
        steps = chunks + decodes
        attended = self._attended_in_prefill(chunks) + decodes * prompt + decodes * (decodes - 1) / 2
        taken = (prompt + decodes) / self.max_num_batched_tokens
        held = (steps * prompt + decodes * (decodes + 1) / 2) / self.kv_tokens
        iterations = np.minimum(np.maximum(np.maximum(steps / self.max_num_seqs, taken), held), steps)
        seconds: Floats = iterations * self.alpha + steps * self.beta + self.gamma * prompt + self.kappa * attended
        return seconds

    def _attended_in_prefill(self, chunks: Integers) -> Floats:
        """Tokens of KV cache that the chunks of a prompt attend to: each to all before it."""
        return self.max_num_batched_tokens * chunks * (chunks - 1) / 2


def _number(entry: Any) -> Any:
    """A plain number, or the number of ``{value: ..., source: ...}``."""
    return entry["value"] if isinstance(entry, Mapping) and "value" in entry else entry


Time = Annotated[float, BeforeValidator(_number), Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, BeforeValidator(_number), Field(ge=1, le=100_000_000)]


class _Entry(BaseModel):
    """A profile as written in YAML; each number may come with its source."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    description: str = ""
    gpus: Count
    alpha_milliseconds: Annotated[Time, Field(gt=0)]
    beta_milliseconds: Time
    gamma_milliseconds: Time
    kappa_nanoseconds: Time = 0.0
    max_num_seqs: Count
    max_num_batched_tokens: Count
    kv_tokens: Annotated[Count, Field(ge=BLOCK_TOKENS)]


def load_profile(name: str) -> EngineProfile:
    """A profile of the package by name, or the one of a YAML file.

    Raises:
        UnknownProfile: neither is there, or the file is wrong.
    """
    built_in = _built_in()
    if name in built_in:
        return _profile(name, built_in[name])
    path = Path(name)
    if not path.is_file():
        raise UnknownProfile(
            f"no engine profile {name!r}: give one of {', '.join(sorted(built_in))}, or a YAML file with one"
        )
    try:
        return _profile(path.stem, yaml.safe_load(path.read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UnknownProfile(f"engine profile {path} can not be read: {error}") from error


def profile_names() -> list[str]:
    """The profiles of the package."""
    return sorted(_built_in())


@cache
def _built_in() -> dict[str, Any]:
    text = (resources.files(__package__) / "engine_profiles.yaml").read_text()
    entries: dict[str, Any] = yaml.safe_load(text)
    return entries


def _profile(name: str, written: Any) -> EngineProfile:
    try:
        entry = _Entry.model_validate(written)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'the file'}: {problem['msg']}" for problem in error.errors()
        )
        raise UnknownProfile(f"engine profile {name} is wrong: {wrong}") from error
    return EngineProfile(
        name=name,
        description=entry.description,
        gpus=entry.gpus,
        alpha=entry.alpha_milliseconds * 1e-3,
        beta=entry.beta_milliseconds * 1e-3,
        gamma=entry.gamma_milliseconds * 1e-3,
        kappa=entry.kappa_nanoseconds * 1e-9,
        max_num_seqs=entry.max_num_seqs,
        max_num_batched_tokens=entry.max_num_batched_tokens,
        kv_tokens=entry.kv_tokens,
    )
