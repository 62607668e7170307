"""The settings of spec.scaling that a search may change, and the values of each that are worth trying."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmendpoint.api.scaling import Scaling, TargetType
from llmendpoint.simulate.span import Span


@dataclass(frozen=True)
class Knob:
    """One setting by its path in spec.scaling, as ``demand.errorBudget`` or ``targets.0.value``."""

    path: str
    span: Span

    def read(self, scaling: Scaling) -> float | None:
        """Its value; None where it is left out."""
        value: Any = scaling.to_wire()
        for step in self.path.split("."):
            value = value[int(step)] if isinstance(value, list) else value.get(step)
        return None if value is None else float(value)


# The first one of a policy is the one that `simulate --compare-tuned` sweeps.
DEMAND = (Knob("demand.errorBudget", Span(0.0005, 0.3)),)
HOLD = Knob("scaleIn.holdSeconds", Span(60, 1800, whole=True))
SCALE_OUT_COOLDOWN = Knob("scaleOut.cooldownSeconds", Span(1, 600, whole=True))
SCALE_IN_COOLDOWN = Knob("scaleIn.cooldownSeconds", Span(1, 900, whole=True))
TARGETS: Mapping[TargetType, Span] = {
    "RequestsPerReplicaPerMinute": Span(2.0, 4000.0),
    "ConcurrentRequestsPerReplica": Span(0.5, 256.0),
    "WaitingPerReplica": Span(0.05, 64.0),
    "KVCacheUtilization": Span(0.005, 0.95),
    "TTFTP95Seconds": Span(0.05, 20.0),
}


def knobs_of(scaling: Scaling) -> Sequence[Knob]:
    """Those of the policy that is set."""
    targets = [Knob(f"targets.{at}.value", TARGETS[target.type]) for at, target in enumerate(scaling.targets)]
    match scaling.policy:
        case "Demand":
            return [*DEMAND, HOLD, SCALE_IN_COOLDOWN]
        case "TargetTracking":
            return [*targets, SCALE_OUT_COOLDOWN, SCALE_IN_COOLDOWN]
        case "Step":
            return targets[:1]  # its bands are measured from the first one


def written(scaling: Scaling, values: Mapping[str, float]) -> dict[str, Any]:
    """spec.scaling as the user wrote it, with other values at some paths; defaults are left out."""
    body = scaling.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    for path, value in values.items():
        place: Any = body
        *way, last = path.split(".")
        for step in way:
            place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
        place[last] = int(value) if value == int(value) else value
    return body


def with_values(scaling: Scaling, values: Mapping[str, float]) -> Scaling:
    """The same with other values at some paths."""
    return Scaling.model_validate(written(scaling, values))
