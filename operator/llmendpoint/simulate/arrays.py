"""The arrays of a replay, as the compiled engine model sees them: one record per request, per replica, and so on."""

from typing import Any, NamedTuple

import numpy as np

Array = Any
"""An array or one record of it."""

MODEL = np.dtype(
    [
        ("alpha", "f8"),
        ("beta", "f8"),
        ("gamma", "f8"),
        ("kappa", "f8"),
        ("late_after", "f8"),  # seconds in the queue
        ("most_running", "i8"),
        ("most_tokens", "i8"),
        ("block_tokens", "i8"),
        ("blocks", "i8"),
    ]
)
REQUEST = np.dtype(
    [
        ("arrived", "f8"),
        ("entered", "f8"),  # the engine
        ("started", "f8"),  # its first step; infinite before
        ("first_token", "f8"),
        ("finished", "f8"),
        ("prompt", "i4"),
        ("output", "i4"),
        ("generated", "i4"),
        ("cached", "i4"),  # tokens in the KV cache
        ("target", "i4"),  # tokens to read before the next one is generated
        ("blocks", "i4"),
        ("after", "i4"),  # the next one of the same queue
        ("state", "i4"),
    ]
)
QUEUE = [("head", "i4"), ("tail", "i4"), ("waiting", "i8")]
ENGINE = np.dtype(
    [
        *QUEUE,
        ("waiting_prompt", "i8"),  # tokens
        ("running", "i8"),
        ("cached", "i8"),  # tokens of the running
        ("blocks", "i8"),  # in use
        ("accepting", "i1"),
        ("stepping", "i1"),
        ("started", "f8"),  # the step that is on
        ("ends", "f8"),
        ("jump", "i8"),  # steps like the one that is on, itself included; 0 when it reads prompts
        ("quiet_until", "f8"),  # no request finishes before
        ("idle_since", "f8"),
        ("left_waiting", "i8"),  # by the scheduling of the step that is on
        ("left_waiting_prompt", "i8"),
        ("shown_running", "i8"),  # by /metrics, as of the end of the last step
        ("shown_waiting", "i8"),
        ("shown_waiting_prompt", "i8"),
        ("shown_cached", "i8"),
        ("shown_blocks", "i8"),
        ("requests_total", "i8"),
        ("prompt_tokens_total", "i8"),
        ("generation_tokens_total", "i8"),
        ("steps_total", "i8"),
        ("finished_prompt_tokens_total", "i8"),
        ("finished_generation_tokens_total", "i8"),
        ("late_total", "i8"),  # of finished requests
    ]
)
PROXY = np.dtype(
    [
        *QUEUE,  # requests held while no replica accepts
        ("next", "i8"),  # the request that arrives next
        ("last_routed", "i8"),
        ("arrived", "i8"),
        ("prompt_tokens", "i8"),
        ("finished", "i8"),
        ("generation_tokens", "i8"),
        ("in_flight", "i8"),
        ("arrival_times", "f8"),  # sum over those in flight
        ("seconds", "f8"),  # sum over those that left
    ]
)


class State(NamedTuple):
    """All arrays of a replay. Replicas are known by their slot, requests by their place in the trace."""

    model: Array
    """One MODEL."""
    requests: Array
    """REQUEST by request."""
    engines: Array
    """ENGINE by slot."""
    running: Array
    """Running requests by slot, in the order of their admission."""
    tokens: Array
    """Tokens that the step which is on takes of each of them."""
    ttft: Array
    """Cumulative counts by slot and bucket; the last bucket is infinity."""
    proxy: Array
    """One PROXY."""
