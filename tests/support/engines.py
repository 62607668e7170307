"""Engine constants for tests of policies that size by them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """An engine whose iteration takes a fiftieth of a second, whatever is in it."""

    alpha: float = 0.02
    beta: float = 0.0
    gamma: float = 0.0
    kappa: float = 0.0
    max_num_seqs: int = 32
    max_num_batched_tokens: int = 2048
    kv_tokens: int = 100_000
