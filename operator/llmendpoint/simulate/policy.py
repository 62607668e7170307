"""What a scaling policy is to the simulator: it is shown what an autoscaler can see and says how many replicas.

A policy is called every ``period`` seconds with one View. It sees gauges, counters and pod phases, never the engine
model's inside nor what will arrive. It keeps its own history: averages, stabilisation windows and cooldowns are its
business, and so is acting more seldom than it reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from llmendpoint.scaling.decision import Decision, Replicas
from llmendpoint.scaling.signals import PodPhase, PodReading
from llmendpoint.simulate.arrays import Array


@dataclass(frozen=True)
class PodView(PodReading):
    """One replica as the API server and its own /metrics show it.

    ``sample`` is None for a replica that is not ready and for one that could not be read.
    """

    created: float = 0.0
    """Time at which its pod was created."""
    ready_since: float | None = None
    restarts: int = 0
    kv_tokens: float | None = None
    """Tokens in the KV cache, ``kv_usage`` times its size; None where there is no sample."""
    queued_prompt_tokens: float | None = None
    """Prompt tokens of the requests that wait in the engine."""
    ttft_counts: Array | None = None
    """Cumulative counts of TTFT_BOUNDS and infinity: the sample's histogram, which most policies do not look at."""


@dataclass(frozen=True)
class ProxySample:
    """Counters of a proxy in front of all replicas. It holds requests while no replica is ready.

    A rate is the growth of a counter by the time between two samples. All counters start at 0 with the replay.
    """

    taken_at: float
    requests_total: int
    """Requests that arrived."""
    prompt_tokens_total: float
    """Prompt tokens of these."""
    finished_total: int
    generation_tokens_total: float
    """Tokens generated for requests that finished."""
    in_flight: int
    """Requests that arrived and are not finished: held at the proxy, waiting in an engine, or running."""
    held: int
    """Requests that no replica has been given yet."""
    in_flight_seconds_total: float
    """Integral of ``in_flight`` over time: its growth by a span's length is the mean concurrency of the span."""


@dataclass(frozen=True)
class View:
    """What a policy is shown at one moment. Times are seconds from the start of the trace."""

    now: float
    replicas: Replicas
    """Counts by phase as the API server has them now; ``ordered`` is what the policy asked for last."""
    pods: Sequence[PodView]
    """All replicas, draining ones included, in the order of their creation. Phases are those of now; samples are as
    old as the policy's ``metric_delay``."""
    proxy: ProxySample | None
    """None while metrics are out."""

    @property
    def ready(self) -> list[PodView]:
        """The ready replicas."""
        return [pod for pod in self.pods if pod.phase is PodPhase.READY]


@dataclass(frozen=True)
class Order:
    """The replicas that a policy wants from now on."""

    replicas: int
    note: str = ""
    """Why, for the report, where there is no decision."""
    decision: Decision | None = None
    """The whole record, where the operator's decide() made it."""

    @property
    def sentence(self) -> str:
        """Why."""
        return self.decision.sentence if self.decision else self.note


class ScalingPolicy(Protocol):
    """An autoscaler. One object serves one replay: it may keep state between calls."""

    @property
    def name(self) -> str:
        """What a table of results calls it."""
        ...

    @property
    def period(self) -> float:
        """Seconds between two calls."""
        ...

    @property
    def metric_delay(self) -> float:
        """Age in seconds of the samples that it is shown, for pods and proxy alike: the pipeline of its metrics."""
        ...

    def start(self, replicas: int) -> None:
        """The replay begins at time 0 with so many ready replicas. Called once, before all else."""
        ...

    def order(self, view: View) -> Order:
        """How many replicas there should be. The fleet obeys at once, whatever the bounds of others are."""
        ...
