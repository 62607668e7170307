"""What a peer is: a published algorithm with one target to tune, and what it is told before a replay begins."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from llmendpoint.simulate.policy import ScalingPolicy
from llmendpoint.simulate.profiles import EngineProfile
from llmendpoint.simulate.span import Span
from llmendpoint.simulate.traces import Trace


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


@dataclass(frozen=True)
class Situation:
    """What a peer is told before a replay begins."""

    bounds: Bounds = Bounds()
    profile: EngineProfile | None = None
    """For peers that read the engine's arguments or profile it: WVA, Dynamo."""
    trace: Trace | None = None
    """For the clairvoyant only."""
    cold_start: float = 180.0
    """Median seconds of a start. For the clairvoyant only."""

    def known_profile(self, peer: str) -> EngineProfile:
        """The engine's profile.

        Raises:
            NotTold: the situation has none.
        """
        if self.profile is None:
            raise NotTold(f"peer {peer} sizes by what the engine can do: give the situation an engine profile")
        return self.profile

    def known_trace(self, peer: str) -> Trace:
        """All that will arrive.

        Raises:
            NotTold: the situation has none.
        """
        if self.trace is None:
            raise NotTold(f"peer {peer} knows all that will arrive: give the situation the trace")
        return self.trace


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
    sweep: Span
    """The values worth trying."""
    build: Callable[[Situation, float], ScalingPolicy]

    def policy(self, situation: Situation, target: float | None = None) -> ScalingPolicy:
        """A policy for one replay, with the documented target or another one.

        Raises:
            NotTold: the situation lacks what this peer needs.
        """
        return self.build(situation, self.default if target is None else target)
