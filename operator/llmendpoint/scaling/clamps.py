"""The rules between what a policy wants and what is done: an ordered chain, each rule named in the decision."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from llmendpoint.api.scaling import Scaling
from llmendpoint.scaling import cooldown, sleep
from llmendpoint.scaling.cold_start import cold_start_seconds
from llmendpoint.scaling.decision import Replicas
from llmendpoint.scaling.schedules import Bound, Limits
from llmendpoint.scaling.signals import Signals, finite
from llmendpoint.scaling.staffing import FULL
from llmendpoint.scaling.state import ScalerState
from llmendpoint.scaling.target_tracking import total_of

HOLD_SHORTEST, HOLD_LONGEST = 300.0, 900.0
ROUNDING = 1e-9


class Situation(NamedTuple):
    """All that a rule may look at."""

    scaling: Scaling
    state: ScalerState
    signals: Signals
    replicas: Replicas
    now: float
    limits: Limits
    """The bounds now."""

    @property
    def current(self) -> int:
        """Replicas wanted so far."""
        return self.state.desired

    @property
    def is_unused(self) -> bool:
        """Whether there was no request for so long that no replica has to run."""
        return sleep.may_sleep(self.scaling, self.state, self.limits.low.replicas, self.now)


@dataclass(frozen=True)
class Effect:
    """What a rule makes of the count, why, and until when."""

    after: int
    detail: str
    until: float | None = None


Rule = Callable[[Situation, int], Effect | None]


def bounds(at: Situation, wanted: int) -> Effect | None:
    """Keep within minReplicas and maxReplicas, or what a schedule says in their place."""
    return within(at.limits, wanted)


def within(limits: Limits, wanted: int) -> Effect | None:
    """What the bounds make of a count."""
    low, high = limits
    if wanted < low.replicas:
        return _bound(low, "minReplicas")
    return _bound(high, "maxReplicas") if wanted > high.replicas else None


def _bound(bound: Bound, name: str) -> Effect:
    if bound.by is None:
        return Effect(bound.replicas, f"{name} is {bound.replicas}")
    return Effect(bound.replicas, bound.by.holds(f"{name} {bound.replicas}"), bound.by.until)


def partial_metrics(at: Situation, wanted: int) -> Effect | None:
    """Never scale in on less than all readings."""
    if wanted >= at.current:
        return None
    if at.signals.unknown:
        return Effect(at.current, f"{at.signals.unknown} of {at.signals.ready} serving replicas could not be read")
    for index, target in enumerate(at.scaling.targets):
        if total_of(target, index, at.signals) is None:
            return Effect(at.current, f"{target.type} target {index + 1} has no value")
    return None


def unknown_backlog(at: Situation, wanted: int) -> Effect | None:
    """Never scale in while nobody knows how many jobs wait."""
    jobs = at.signals.jobs
    if jobs is None or jobs.backlog is not None or wanted >= at.current:
        return None
    return Effect(at.current, "how many jobs wait could not be read from the queue's pods")


def consolidation(at: Situation, wanted: int) -> Effect | None:
    """Keep enough replicas for the requests that are in the engines now.

    A queue says nothing about load while it is empty: sized on it alone, a fleet would swing between too few
    replicas and too many for ever.
    """
    if wanted >= at.current:
        return None
    needed = min(math.ceil(finite(at.signals.occupancy, most=1e6) / FULL - ROUNDING), at.current)
    if needed <= wanted:
        return None
    return Effect(needed, f"the requests in the engines now fill {needed} replicas to {FULL:.0%}")


def scale_in_disabled(at: Situation, wanted: int) -> Effect | None:
    """Obey scaleIn.disabled."""
    if not at.scaling.scale_in.disabled or wanted >= at.current:
        return None
    return Effect(at.current, "scaleIn.disabled is true")


def hold_window(at: Situation, wanted: int) -> Effect | None:
    """Keep the highest need of the hold window: Demand's protection against giving up what is needed again soon."""
    if at.scaling.policy != "Demand" or wanted >= at.current or at.is_unused:
        return None
    seconds = hold_seconds(at.scaling, at.state)
    recent = [(at_, need) for at_, need in at.state.hold if at.now - at_ < seconds]
    needed = min(max((need for _, need in recent), default=0.0), float(at.current))
    if needed <= wanted:
        return None
    until = max(at_ for at_, need in recent if need >= needed) + seconds
    return Effect(int(needed), f"{needed:.0f} replicas were needed within the last {seconds:.0f} s", until)


def scale_out_cooldown(at: Situation, wanted: int) -> Effect | None:
    """After a scale-out only a larger count than the one that it asked for may act. The first replica always may."""
    if at.current == 0:
        return None
    seconds = at.scaling.scale_out.cooldown_seconds
    until = cooldown.scale_out_until(at.state, seconds, at.now)
    if until is None or wanted == at.current or wanted > max(at.state.scale_out_to, at.current):
        return None
    waiting = "its replicas are not ready yet, then" if at.state.scale_out_done_at is None else "done, now"
    return Effect(at.current, f"scale-out to {at.state.scale_out_to}: {waiting} {seconds} s cooldown", until)


def scale_in_cooldown(at: Situation, wanted: int) -> Effect | None:
    """After a scale-in no further one for a while."""
    if wanted >= at.current:
        return None
    seconds = at.scaling.scale_in.cooldown_seconds
    until = cooldown.scale_in_until(at.state, seconds, at.now)
    return None if until is None else Effect(at.current, f"{seconds} s cooldown since the last scale-in", until)


def max_step(at: Situation, wanted: int) -> Effect | None:
    """Change the count by no more than maxStep at once."""
    out, in_ = at.scaling.scale_out.max_step, at.scaling.scale_in.max_step
    if out is not None and wanted > at.current + out:
        return Effect(at.current + out, f"scaleOut.maxStep is {out}")
    if in_ is not None and wanted < at.current - in_:
        return Effect(at.current - in_, f"scaleIn.maxStep is {in_}")
    return None


def budget(at: Situation, wanted: int) -> Effect | None:
    """Hold no more GPUs than maxGPUs, and order no replica that the namespace's quota would refuse."""
    gpus, most, room = at.replicas.gpus, at.scaling.max_gpus, at.replicas.room
    found = []
    if most is not None and wanted * gpus > most:
        found.append(Effect(most // gpus, f"maxGPUs {most} is {most // gpus} replicas of {gpus}"))
    if room is not None and wanted > max(room.replicas, at.current):
        found.append(Effect(max(room.replicas, at.current), room.why))
    return min(found, key=lambda effect: effect.after, default=None)


def last_replica(at: Situation, wanted: int) -> Effect | None:
    """Keep one replica while somebody may use it, and while nobody would hold the requests that find none."""
    if wanted > 0 or at.current == 0:
        return None
    if not at.is_unused:
        until = sleep.idle_until(at.scaling, at.state)
        return Effect(1, f"the last replica goes after {at.scaling.idle_seconds} s without a request", until)
    return None if at.replicas.is_covered else Effect(1, "no activator is ready, which would hold requests meanwhile")


def hold_seconds(scaling: Scaling, state: ScalerState) -> float:
    """Length of the hold window: as set, or three times the cold start within bounds."""
    if scaling.scale_in.hold_seconds is not None:
        return float(scaling.scale_in.hold_seconds)
    return min(max(3.0 * cold_start_seconds(state.cold_starts), HOLD_SHORTEST), HOLD_LONGEST)


RULES: tuple[tuple[str, Rule], ...] = (
    ("Bounds", bounds),
    ("PartialMetrics", partial_metrics),
    ("UnknownBacklog", unknown_backlog),
    ("Consolidation", consolidation),
    ("ScaleInDisabled", scale_in_disabled),
    ("HoldWindow", hold_window),
    ("ScaleOutCooldown", scale_out_cooldown),
    ("ScaleInCooldown", scale_in_cooldown),
    ("MaxStep", max_step),
    ("Budget", budget),
    ("LastReplica", last_replica),
    # Again, because the rules above fall back to the current count, which may be outside after an edit, and because
    # minReplicas are the user's own order.
    ("Bounds", bounds),
)
