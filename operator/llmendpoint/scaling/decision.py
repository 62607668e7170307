"""The result of one decision, with all that is needed to redo it by hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from llmendpoint.api.status import Clamp


class Outcome(StrEnum):
    """What a decision came to, in one word."""

    SCALE_OUT = "ScaleOut"
    SCALE_IN = "ScaleIn"
    STEADY = "Steady"
    """The policy wants what there is."""
    HELD = "Held"
    """The policy wants something else and a rule holds the count."""
    METRICS_UNKNOWN = "MetricsUnknown"
    NO_READY_REPLICAS = "NoReadyReplicas"
    ASLEEP = "Asleep"
    """No replica is wanted, and no request waits for one."""


@dataclass(frozen=True)
class Room:
    """How many replicas the namespace's quota lets exist."""

    replicas: int
    why: str


@dataclass(frozen=True)
class Replicas:
    """The engine's replicas by state."""

    ready: int
    starting: int = 0
    unready: int = 0
    """Have served and are not ready just now."""
    draining: int = 0
    unschedulable: int = 0
    oldest_unschedulable_age: float = 0.0
    """Seconds that the longest waiting unschedulable replica has waited."""
    ordered: int = 0
    """spec.replicas of the Deployment."""
    startup_timeout: float = 900.0
    """Seconds after which a replica that is not ready counts as failed."""
    gpus: int = 0
    """GPUs of one replica."""
    room: Room | None = None
    """None where no quota is known."""
    is_covered: bool = True
    """Whether an activator is ready, which would hold requests while no replica runs."""


class Desire(Protocol):
    """What a policy asks for before any rule is applied. Words and numbers are made only where somebody reads them."""

    @property
    def raw(self) -> int:
        """Replicas."""
        ...

    @property
    def why(self) -> str:
        """The sum in words, first half of the decision's sentence."""
        ...

    @property
    def inputs(self) -> Mapping[str, Any]:
        """The readings that went in."""
        ...

    @property
    def terms(self) -> Mapping[str, Any]:
        """Intermediate numbers of the formula."""
        ...


@dataclass(frozen=True)
class Unread:
    """The desire where there is nothing that a policy could read."""

    raw: int
    why: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    terms: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """One decision of the scaler. Times are seconds since the epoch."""

    time: float
    current: int
    desired: int
    reason: Outcome
    desire: Desire
    replicas: Replicas
    """As they were."""
    clamps: tuple[Clamp, ...] = ()
    holding: Clamp | None = None
    """The last of them, where it is not the policy's wish that is done."""
    held_until: float | None = None
    expected_ready: float | None = None

    @property
    def raw(self) -> int:
        """Replicas that the policy asked for."""
        return self.desire.raw

    @property
    def held_by(self) -> str | None:
        """Name of the rule that holds the count."""
        return self.holding.name if self.holding else None

    @property
    def inputs(self) -> Mapping[str, Any]:
        """The readings that went in."""
        return self.desire.inputs

    @property
    def terms(self) -> Mapping[str, Any]:
        """Intermediate numbers of the formula."""
        return self.desire.terms

    @property
    def sentence(self) -> str:
        """The sum, the wish, what there is, and what is done."""
        replicas = self.replicas
        coming = f"{replicas.ready} + {replicas.starting + replicas.unschedulable} starting"
        if replicas.unready:
            coming += f" + {replicas.unready} not ready just now"
        parts = [f"{self.desire.why}; want {self.raw}, have {coming}"]
        if self.holding and self.holding.detail:
            parts.append(self.holding.detail)
        if self.desired > self.current:
            parts.append(f"scale out {self.current} -> {self.desired}")
        elif self.desired < self.current:
            parts.append(f"scale in {self.current} -> {self.desired}")
        else:
            parts.append(f"stay at {self.current}")
        if self.expected_ready is not None:
            parts.append(f"ready in about {self.expected_ready - self.time:.0f} s")
        return "; ".join(parts)
