"""What a peer is: a published algorithm with one target to tune, and what it is told before a replay begins."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from llmendpoint.simulate.policy import ScalingPolicy

Floats = NDArray[np.float64]


class NotTold(ValueError):
    """A peer needs something that the situation does not say."""


@dataclass(frozen=True)
class Bounds:
    """minReplicas and maxReplicas, whatever a peer calls them."""

    least: int = 1
    most: int = 100

    def clamp(self, replicas: float) -> int:
        """The nearest count within the bounds."""
        return int(min(max(replicas, self.least), self.most))

    @property
    def without_zero(self) -> "Bounds":
        """The same for an algorithm that does not scale to zero."""
        return replace(self, least=max(self.least, 1), most=max(self.most, 1))


class EngineFacts(Protocol):
    """What an autoscaler can know of the engine beforehand: its arguments, and an offline profile. Times in seconds.

    ``EngineProfile`` of the simulator is one.
    """

    @property
    def alpha(self) -> float:
        """Of an iteration, whatever is in it."""
        ...

    @property
    def beta(self) -> float:
        """Of an iteration, per sequence in it."""
        ...

    @property
    def gamma(self) -> float:
        """Of an iteration, per prompt token that it reads."""
        ...

    @property
    def kappa(self) -> float:
        """Of an iteration, per token of KV cache that it attends to."""
        ...

    @property
    def max_num_seqs(self) -> int:
        """Sequences of an iteration at most."""
        ...

    @property
    def max_num_batched_tokens(self) -> int:
        """Tokens of an iteration at most."""
        ...

    @property
    def kv_tokens(self) -> int:
        """Tokens that the KV cache holds."""
        ...


@dataclass(frozen=True)
class Foresight:
    """All that will arrive. Arrays of one length, in the order of arrival."""

    arrivals: Floats
    """Seconds from the start of the trace."""
    work: Floats
    """Replica-seconds of each request on a replica that is full of its like."""


@dataclass(frozen=True)
class Situation:
    """What a peer is told before a replay begins."""

    bounds: Bounds = Bounds()
    engine: EngineFacts | None = None
    """For peers that read the engine's arguments or profile it: WVA, Dynamo."""
    foresight: Foresight | None = None
    """For the clairvoyant only."""
    cold_start: float = 180.0
    """Median seconds of a start. For the clairvoyant only."""

    def known_engine(self, peer: str) -> EngineFacts:
        """The engine's facts.

        Raises:
            NotTold: the situation has none.
        """
        if self.engine is None:
            raise NotTold(f"peer {peer} sizes by the engine's limits: give the situation an engine profile")
        return self.engine


@dataclass(frozen=True)
class Peer:
    """One row of the table of peers."""

    name: str
    source: str
    """Document or file, and its version."""
    target: str
    """What its one target is, with the unit."""
    default: float
    default_source: str
    """Where the default is documented."""
    sweep: tuple[float, float]
    """Smallest and largest value worth trying."""
    build: Callable[[Situation, float], ScalingPolicy]

    def policy(self, situation: Situation, target: float | None = None) -> ScalingPolicy:
        """A policy for one replay, with the documented target or another one.

        Raises:
            NotTold: the situation lacks what this peer needs.
        """
        return self.build(situation, self.default if target is None else target)

    def grid(self, points: int) -> tuple[float, ...]:
        """Values of the sweep at equal ratios, both ends included."""
        low, high = self.sweep
        return tuple(float(value) for value in np.geomspace(low, high, points))
