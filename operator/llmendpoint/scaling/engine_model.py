"""What one replica can do with the requests that an endpoint gets, learned from what the replicas did."""

from dataclasses import dataclass, replace
from typing import ClassVar

from pydantic import ConfigDict

from llmendpoint.scaling.activity import Activity
from llmendpoint.scaling.step_time import StepTime
from llmendpoint.scaling.wire import WIRE, Number

# Requests after which what they are like is half renewed.
REQUESTS_REMEMBERED = 50.0
KV_MEMORY_SECONDS = 3600.0
# Above this share of the KV cache engines begin to preempt (measured: use oscillates between 0.78 and 1.0).
KV_FULL = 0.95
# Prompt tokens that share one step's alpha: the smaller one of vLLM's defaults for max_num_batched_tokens.
CHUNK_TOKENS = 2048.0


@dataclass(frozen=True)
class Cost:
    """What a request takes of a replica that is full of its like, in replica-seconds."""

    prefill: float
    """Until its first token."""
    decode: float
    batch: float
    """Requests that run in a full replica at once."""

    @property
    def total(self) -> float:
        """1 / (requests per second at saturation)."""
        return self.prefill + self.decode


@dataclass(frozen=True)
class Requests:
    """What requests are like: means of the last ones."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    prompt_tokens: Number
    generation_tokens: Number
    inference_seconds: Number
    """Time in the batch."""

    @property
    def step_seconds(self) -> float:
        """Mean time of a step as requests see it: a request gets one token in each."""
        return self.inference_seconds / max(self.generation_tokens, 1.0)


@dataclass(frozen=True)
class EngineModel:
    """What was learned. It lives in status.scaling.state."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    step_time: StepTime = StepTime()  # noqa: RUF009 - it is frozen
    requests: Requests | None = None
    """None before one was finished."""
    kv_usage: Number = 0.0
    """Share of the KV cache in use, sum over replicas, mean of about an hour."""
    running: Number = 0.0
    """Requests in the batches at these moments, likewise."""

    def cost(self, slots: int) -> Cost | None:
        """The cost of the mean request; None before enough was seen.

        Args:
            slots: requests that a replica works on at once at most.
        """
        if self.requests is None or not self.step_time.is_learned:
            return None
        alpha, beta, gamma = self.step_time.coefficients
        batch = float(slots)
        if self.kv_usage > 0:
            batch = min(batch, KV_FULL * self.running / self.kv_usage)
        batch = max(batch, 1.0)
        return Cost(
            prefill=self.requests.prompt_tokens * (gamma + alpha / CHUNK_TOKENS),
            decode=self.requests.generation_tokens * (alpha / batch + beta),
            batch=batch,
        )

    def learned(self, activity: Activity, running: float, kv_usage: float | None) -> "EngineModel":
        """The model after one more reading.

        Args:
            running: requests in the replicas' batches, sum over replicas.
            kv_usage: share of the KV cache in use, sum over replicas; None where the engine does not say.
        """
        requests = _renewed(self.requests, activity)
        # A gauge shows an engine's last step, so that an engine that has just begun looks idle; steps by their mean
        # time are the other estimate, which is too low where long steps come alone. The larger one counts.
        by_steps = activity.steps * (requests.step_seconds if requests else 0.0)
        busy = min(max(activity.busy_seconds, by_steps), activity.seconds)
        weight = min(activity.elapsed / KV_MEMORY_SECONDS, 1.0) if kv_usage is not None else 0.0
        return replace(
            self,
            step_time=self.step_time.learned(activity, busy),
            requests=requests,
            kv_usage=self.kv_usage + weight * ((kv_usage or 0.0) - self.kv_usage),
            running=self.running + weight * (running - self.running),
        )


def _renewed(known: Requests | None, activity: Activity) -> Requests | None:
    count = activity.finished
    if count <= 0:
        return known
    seen = (
        activity.finished_prompt_tokens / count, activity.finished_generation_tokens / count,
        activity.inference_seconds / count,
    )  # fmt: skip
    if known is None:
        return Requests(*seen)
    weight = count / (count + REQUESTS_REMEMBERED)
    before = (known.prompt_tokens, known.generation_tokens, known.inference_seconds)
    return Requests(*(old + weight * (new - old) for old, new in zip(before, seen, strict=True)))
