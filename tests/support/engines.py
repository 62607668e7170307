"""Engine profiles that are simple enough for mental arithmetic."""

from dataclasses import replace

from llmendpoint.simulate.profiles import EngineProfile

SIMPLE = EngineProfile(
    "simple", "An iteration takes a fiftieth of a second, whatever is in it.", 1, alpha=0.02, beta=0.0, gamma=0.0,
    kappa=0.0, max_num_seqs=32, max_num_batched_tokens=2048, kv_tokens=100_000,
)  # fmt: skip


def engine(**changes: float) -> EngineProfile:
    """The simple engine, with some constants changed."""
    return replace(SIMPLE, **changes)  # type: ignore[arg-type]
