"""The engines of all replicas behind one proxy: requests arrive, are routed, and are served until a given time."""

import math
from typing import Literal

import numpy as np

from llmendpoint.simulate.arrays import ENGINE, MODEL, PROXY, REQUEST, Array, State
from llmendpoint.simulate.batching import NOBODY, TTFT_BOUNDS, lose, release, run
from llmendpoint.simulate.policy import ProxySample
from llmendpoint.simulate.profiles import BLOCK_TOKENS, EngineProfile
from llmendpoint.simulate.traces import Trace

SLOTS = 8
"""Places for replicas to begin with."""
Routing = Literal["least-loaded", "round-robin"]


class Engines:
    """State of every request and every replica's engine; replicas are known by their slot.

    A request whose prompt does not fit the KV cache is refused, as vLLM answers 400. One whose output would not fit
    ends where the cache is full, as with vLLM's max_model_len.

    Args:
        late_after: seconds in an engine's queue after which a request counts as late in its metrics.
    """

    def __init__(
        self, trace: Trace, profile: EngineProfile, routing: Routing = "least-loaded", *, late_after: float = 2.0
    ) -> None:
        self.profile = profile
        self._routes_by_load = routing == "least-loaded"
        most = profile.kv_blocks * BLOCK_TOKENS
        requests = np.zeros(len(trace.t), REQUEST)
        requests["arrived"] = trace.t
        requests["prompt"] = trace.input_tokens
        # The last token's own KV is never needed.
        requests["output"] = np.clip(trace.output_tokens, 1, np.maximum(most - trace.input_tokens + 1, 1))
        requests["started"] = np.inf
        requests["first_token"] = requests["finished"] = np.nan
        model = np.zeros(1, MODEL)
        model[0] = (
            profile.alpha, profile.beta, profile.gamma, profile.kappa, late_after, profile.max_num_seqs,
            profile.max_num_batched_tokens, BLOCK_TOKENS, profile.kv_blocks,
        )  # fmt: skip
        proxy = np.zeros(1, PROXY)
        proxy["last_routed"] = NOBODY
        width = min(profile.max_num_seqs, profile.kv_blocks, max(len(trace.t), 1))
        self._state = State(
            model,
            requests,
            engines=np.zeros(SLOTS, ENGINE),
            running=np.zeros((SLOTS, width), np.int32),
            tokens=np.zeros((SLOTS, width), np.int32),
            ttft=np.zeros((SLOTS, len(TTFT_BOUNDS) + 1), np.int64),
            proxy=proxy,
        )

    @property
    def requests(self) -> Array:
        """One REQUEST record per request."""
        return self._state.requests

    @property
    def in_flight(self) -> int:
        """Requests that arrived and neither finished nor were refused or lost."""
        return int(self._state.proxy["in_flight"][0])

    @property
    def waiting(self) -> int:
        """Requests in flight that are in no engine's batch."""
        return int(self._state.proxy["waiting"][0] + sum(self._state.engines["waiting"].tolist()))

    @property
    def arrivals_left(self) -> int:
        """Requests that have not arrived yet."""
        return len(self.requests) - int(self._state.proxy["next"][0])

    def load(self, slot: int) -> int:
        """Requests in one engine."""
        return int(self._state.engines["running"][slot] + self._state.engines["waiting"][slot])

    def idle_since(self, slot: int) -> float:
        """When an engine without requests finished its last one."""
        return float(self._state.engines["idle_since"][slot])

    def open(self, slot: int, now: float) -> None:
        """A fresh engine is ready: it gets requests from now on, those that were held first."""
        if slot >= len(self._state.engines):
            self._grow(2 * slot)
        self._state.engines[slot] = np.zeros((), ENGINE)
        self._state.ttft[slot] = 0
        self._state.engines["accepting"][slot] = 1
        self._state.engines["quiet_until"][slot] = math.inf
        self._state.engines["idle_since"][slot] = now
        release(self._state, self._routes_by_load, now)

    def close(self, slot: int, now: float) -> None:
        """An engine gets no more requests; it goes on with those that it has."""
        engine = self._state.engines[slot]
        if engine["accepting"]:
            engine["accepting"] = 0
            engine["idle_since"] = max(engine["idle_since"], now)

    def crash(self, slot: int, now: float) -> None:
        """An engine dies at once, and its requests with it."""
        lose(self._state, slot, now)

    def run(self, until: float) -> None:
        """Serve until a time, arrivals of that very moment included."""
        run(self._state, self._routes_by_load, until)

    def proxy_sample(self, now: float) -> ProxySample:
        """The proxy's counters; the engines were run until ``now``."""
        record = self._state.proxy
        proxy = dict(zip(record.dtype.names, record.item(), strict=True))
        return ProxySample(
            taken_at=now,
            requests_total=proxy["arrived"],
            prompt_tokens_total=proxy["prompt_tokens"],
            finished_total=proxy["finished"],
            generation_tokens_total=proxy["generation_tokens"],
            in_flight=proxy["in_flight"],
            held=proxy["waiting"],
            in_flight_seconds_total=proxy["seconds"] + proxy["in_flight"] * now - proxy["arrival_times"],
        )

    @property
    def gauges(self) -> Array:
        """One ENGINE record per slot."""
        return self._state.engines

    @property
    def ttft_counts(self) -> Array:
        """Cumulative counts of TTFT_BOUNDS and infinity per slot."""
        return self._state.ttft

    def _grow(self, slots: int) -> None:
        def grown(old: Array) -> Array:
            new = np.zeros((slots, *old.shape[1:]), old.dtype)
            new[: len(old)] = old
            return new

        state = self._state
        self._state = state._replace(
            engines=grown(state.engines), running=grown(state.running), tokens=grown(state.tokens),
            ttft=grown(state.ttft),
        )  # fmt: skip
