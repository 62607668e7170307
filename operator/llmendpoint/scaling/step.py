"""Step scaling: bands of the first target's metric add, remove or set replicas, as AWS step policies do.

https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-step-scaling-policies.html
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmendpoint.api.scaling import Scaling, StepAdjustment, StepAdjustmentBand
from llmendpoint.scaling import target_tracking
from llmendpoint.scaling.signals import Signals
from llmendpoint.scaling.state import ScalerState


def desire(scaling: Scaling, state: ScalerState, signals: Signals, now: float) -> tuple[ScalerState, "StepDesire"]:
    """Apply the band in which the metric per replica lies, once the alarm of its direction is on.

    Replicas that start are part of the answer: a band adds to those that serve, as AWS does during warm-up.
    """
    state, tracked = target_tracking.desire(scaling, state, signals, now)
    target, track = scaling.targets[0], state.tracks[0]
    per_replica = track.last / max(signals.ready, 1) if track.last is not None else target.value
    breach = per_replica - target.value
    band = next((band for band in scaling.steps if _holds(band, breach)), None)
    raw = state.desired
    if band is not None:
        count = adjusted(scaling.adjustment_type, band.adjustment, signals.ready)
        out = count > state.desired and track.above >= target_tracking.POINTS_ABOVE
        in_ = count < state.desired and track.below >= target_tracking.POINTS_BELOW
        raw = count if out or in_ else raw
    return state, StepDesire(max(raw, 0), tracked, scaling.adjustment_type, per_replica, breach, band)


@dataclass(frozen=True)
class StepDesire:
    """The replicas that a step asks for, and what they follow from."""

    raw: int
    tracked: target_tracking.TrackingDesire
    adjustment_type: StepAdjustment
    per_replica: float
    """The metric."""
    breach: float
    """How far it is from the target."""
    band: StepAdjustmentBand | None

    @property
    def why(self) -> str:
        """The metric, the breach, the band."""
        target, band = self.tracked.votes[0].target, self.band
        words = f"{target.type} {self.per_replica:.3g} per replica, {self.breach:+.3g} from {target.value:g}"
        step = "no step applies" if band is None else f"{self.adjustment_type} {band.adjustment:g}"
        return f"{words}: {step}"

    @property
    def inputs(self) -> Mapping[str, Any]:
        """The readings that went in."""
        return self.tracked.inputs

    @property
    def terms(self) -> Mapping[str, Any]:
        """Intermediate numbers of the formula, and the alarms."""
        track = self.tracked.votes[0].track
        return {
            "breach": round(self.breach, 3),
            "adjustmentType": self.adjustment_type,
            "adjustment": self.band.adjustment if self.band else None,
            "pointsAbove": track.above,
            "pointsBelow": track.below,
        }


def _holds(band: StepAdjustmentBand, breach: float) -> bool:
    """A breach on the bound of two bands is in the one that is further from the target."""
    lower = -math.inf if band.lower_bound is None else band.lower_bound
    upper = math.inf if band.upper_bound is None else band.upper_bound
    return lower <= breach < upper if breach >= 0 else lower < breach <= upper


def adjusted(kind: StepAdjustment, adjustment: float, serving: int) -> int:
    """The count that a band asks for where so many replicas serve."""
    if kind == "ExactCapacity":
        return max(round(adjustment), 0)
    if kind == "ChangeInCapacity":
        return serving + round(adjustment)
    change = serving * adjustment / 100.0
    # AWS rounds a percentage away from zero below 1 and towards zero above it.
    whole = math.copysign(max(math.floor(abs(change)), 1), change) if change else 0
    return serving + int(whole)
