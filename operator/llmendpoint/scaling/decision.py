"""The result of one decision, with all that is needed to redo it by hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

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


@dataclass(frozen=True)
class Desire:
    """What a policy asks for before any rule is applied."""

    raw: int
    why: str
    """The sum in words, first half of the decision's sentence."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    terms: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """One decision of the scaler. Times are seconds since the epoch."""

    time: float
    current: int
    raw: int
    desired: int
    reason: Outcome
    sentence: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    terms: Mapping[str, Any] = field(default_factory=dict)
    clamps: tuple[Clamp, ...] = ()
    held_by: str | None = None
    held_until: float | None = None
    expected_ready: float | None = None
