"""What the requests of a trace cost replicas: as a rule, and at least."""

from dataclasses import dataclass

import numpy as np

from llmendpoint.simulate.profiles import BLOCK_TOKENS, EngineProfile, Floats
from llmendpoint.simulate.traces import Trace


@dataclass(frozen=True, eq=False)
class Work:
    """Two arrays of one length, in the order of arrival."""

    arrivals: Floats
    """Seconds from the start of the trace."""
    seconds: Floats
    """Replica-seconds of each request."""


def usual_work(trace: Trace, profile: EngineProfile) -> Work:
    """The cost on a replica that is full of requests of the same lengths."""
    return Work(trace.t, profile.replica_seconds(trace.input_tokens, trace.output_tokens))


def least_work(trace: Trace, profile: EngineProfile) -> Work:
    """The cost that is the least in whatever company a request is served.

    It pays its own beta, gamma and kappa. An iteration holds at most max_num_seqs sequences, max_num_batched_tokens
    tokens and the KV cache, so that alpha can be shared in proportion to any one of these without giving out more than
    there is; the way of sharing that gives out most over all requests is taken. A prompt that does not fit the cache
    is refused and costs nothing, and an output that does not fit ends early.
    """
    cache = profile.kv_blocks * BLOCK_TOKENS
    prompt = trace.input_tokens
    decodes = np.clip(trace.output_tokens - 1, 0, np.maximum(cache - prompt, 0))
    steps = profile.prefill_steps(prompt) + decodes
    attended = decodes * prompt + decodes * (decodes - 1) / 2
    shares = (
        steps / profile.max_num_seqs,
        (prompt + decodes) / profile.max_num_batched_tokens,
        attended / cache,
    )
    served = prompt <= cache
    alpha = profile.alpha * max(shares, key=lambda share: float(share[served].sum()))
    own = profile.beta * steps + profile.gamma * prompt + profile.kappa * attended
    return Work(trace.t, np.where(served, own + alpha, 0.0))
