"""What one replica can do with the requests that an endpoint gets, learned from what the replicas did."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from pydantic import ConfigDict

from llmendpoint.scaling.activity import Activity
from llmendpoint.scaling.step_time import StepTime
from llmendpoint.scaling.wire import WIRE, Number

# Requests after which what they are like is half renewed.
REQUESTS_REMEMBERED = 50.0
KV_MEMORY_SECONDS = 3600.0
# Above this share of the KV cache engines begin to preempt (measured: use oscillates between 0.78 and 1.0).
KV_FULL = 0.95
# What is left of the hour's means where the replicas may be others: three minutes.
DOUBTED = 0.05
# Prompt tokens that share one step's alpha: the smaller one of vLLM's defaults for max_num_batched_tokens.
CHUNK_TOKENS = 2048.0


class Cost(NamedTuple):
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
        weight = min(activity.elapsed / KV_MEMORY_SECONDS, 1.0) if kv_usage is not None else 0.0
        return EngineModel(
            step_time=self.step_time.learned(activity, self._busy_seconds(activity)),
            requests=requests,
            kv_usage=self.kv_usage + weight * ((kv_usage or 0.0) - self.kv_usage),
            running=self.running + weight * (running - self.running),
        )

    def doubted(self) -> "EngineModel":
        """The model of replicas that may be others than those it was learned on; what is asked of them is the same."""
        return EngineModel(self.step_time.doubted(), self.requests, DOUBTED * self.kv_usage, DOUBTED * self.running)

    def _busy_seconds(self, activity: Activity) -> float:
        """Replica-seconds in which a batch ran.

        The gauge of running requests is of an engine's last step: during the first step of a busy period, a long one
        where prompts are long, it shows an idle engine. Requests that come at a rate r find an idle engine with the
        probability 1 - u, u being the busy share, and their first step of t seconds is not seen. So of u the gauge
        shows g = u - r t (1 - u), and u = (g + r t) / (1 + r t).
        """
        if self.requests is None:
            return activity.busy_seconds
        alpha, _, gamma = self.step_time.coefficients
        first_step = alpha + gamma * min(self.requests.prompt_tokens, CHUNK_TOKENS)
        unseen = activity.finished * first_step  # r t, times the replica-seconds
        return (activity.busy_seconds + unseen) / (1.0 + unseen / activity.seconds)


def _renewed(known: Requests | None, activity: Activity) -> Requests | None:
    count = activity.finished
    if count <= 0:
        return known
    prompt, generation = activity.finished_prompt_tokens / count, activity.finished_generation_tokens / count
    if known is None:
        return Requests(prompt, generation)
    weight = count / (count + REQUESTS_REMEMBERED)
    return Requests(
        known.prompt_tokens + weight * (prompt - known.prompt_tokens),
        known.generation_tokens + weight * (generation - known.generation_tokens),
    )
