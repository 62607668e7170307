"""Target tracking with the semantics of AWS Application Auto Scaling.

High alarm: 3 of 3 points above the target. Low alarm: 15 of 15 points below 0.9 x target, with several targets all of
them. Desired = ceil(replicas x metric / target).
https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-target-tracking.html

One thing differs on purpose: a point is kept as a total over the replicas that served, so that replicas which are
still starting are part of the answer and are not ordered again.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from llmendpoint.api.scaling import Scaling, Target
from llmendpoint.scaling.signals import Signals, finite
from llmendpoint.scaling.state import GAP_SECONDS, ScalerState, Track

PERIOD_SECONDS = {"Standard": 60.0, "Fast": 10.0}
POINTS_ABOVE = 3
POINTS_BELOW = 15
LOW_SHARE = 0.9
# These grow by themselves while replicas start, so they can not say how many more are needed until those serve.
LAGGING = frozenset({"WaitingPerReplica", "TTFTP95Seconds", "KVCacheUtilization"})
UNIT = {
    "RequestsPerReplicaPerMinute": "req/min",
    "ConcurrentRequestsPerReplica": "requests in flight",
    "WaitingPerReplica": "requests waiting",
    "KVCacheUtilization": "KV caches in use",
    "TTFTP95Seconds": "s TTFT p95 x replicas",
    "PromQL": "by PromQL",
}
ROUNDING = 1e-9


@dataclass(frozen=True)
class Vote:
    """What one target asks for."""

    target: Target
    track: Track
    wants: int

    @property
    def alarm(self) -> str:
        """High, Low or none."""
        if self.track.above >= POINTS_ABOVE:
            return "high"
        return "low" if self.track.below >= POINTS_BELOW else "ok"


def desire(scaling: Scaling, state: ScalerState, signals: Signals, now: float) -> tuple[ScalerState, "TrackingDesire"]:
    """Out if any target's high alarm is on, in only if the low alarm of every target is."""
    period = PERIOD_SECONDS[scaling.evaluation]
    votes = [
        _vote(
            target,
            _advance(_track(state, index, target, now), target, signals, index, period, now),
            signals,
            state,
        )
        for index, target in enumerate(scaling.targets)
    ]
    state = state.changed(tracks=tuple(vote.track for vote in votes))
    current = state.desired
    high = [vote.wants for vote in votes if vote.alarm == "high"]
    if high:
        raw = max(*high, current)
    elif all(vote.alarm == "low" for vote in votes):
        raw = min(max(vote.wants for vote in votes), current)
    else:
        raw = current
    return state, TrackingDesire(raw, signals, period, state.awaiting, tuple(votes))


@dataclass(frozen=True)
class TrackingDesire:
    """The replicas that the targets ask for, and what they follow from."""

    raw: int
    signals: Signals
    period: float
    """Seconds of one point."""
    awaiting: bool
    """Whether replicas of the last scale-out are still expected."""
    votes: tuple[Vote, ...]

    @property
    def why(self) -> str:
        """Each target's sum."""
        return "; ".join(_words(vote, self.period) for vote in self.votes)

    @property
    def inputs(self) -> Mapping[str, Any]:
        """The readings that went in."""
        return {
            "targets": [
                {"type": vote.target.type, "total": _rounded(vote.track.last), "target": vote.target.value}
                for vote in self.votes
            ],
            "occupancy": _rounded(finite(self.signals.occupancy)),
            "readingAgeSeconds": _rounded(self.signals.age),
            "podsRead": self.signals.known,
            "podsUnread": self.signals.unknown,
            "awaitingReplicas": self.awaiting,
        }

    @property
    def terms(self) -> Mapping[str, Any]:
        """What each target asks for, and its alarms."""
        return {
            "votes": [
                {
                    "type": vote.target.type,
                    "wants": vote.wants,
                    "pointsAbove": vote.track.above,
                    "pointsBelow": vote.track.below,
                }
                for vote in self.votes
            ],
        }


def reads_ttft(scaling: Scaling) -> bool:
    """Whether a target needs the time to first token."""
    return any(target.type == "TTFTP95Seconds" for target in scaling.targets)


def total_of(target: Target, index: int, signals: Signals) -> float | None:
    """The target's metric now as a total over replicas; None when it is not known (yet)."""
    value: float | None
    match target.type:
        case "RequestsPerReplicaPerMinute":
            value = None if signals.arrival_rate is None else 60.0 * signals.arrival_rate
        case "ConcurrentRequestsPerReplica":
            value = signals.running + signals.waiting
        case "WaitingPerReplica":
            value = signals.waiting
        case "KVCacheUtilization":
            value = signals.kv_usage
        case "TTFTP95Seconds":
            # No first token within the window: nobody waits, or the queue is stuck and nobody knows for how long.
            idle = finite(signals.running) + finite(signals.waiting) <= 0
            seconds = 0.0 if signals.ttft_p95 is None and idle else signals.ttft_p95
            value = None if seconds is None else seconds * signals.ready
        case "PromQL":
            custom = signals.custom_value(index)
            value = None if custom is None else custom * signals.ready
    return None if value is None else finite(value)


def _track(state: ScalerState, index: int, target: Target, now: float) -> Track:
    key = f"{target.type}:{target.value:g}:{target.query or ''}"
    known = state.tracks[index] if index < len(state.tracks) else None
    return known if known is not None and known.key == key else Track(key=key, period_start=now)


def _advance(track: Track, target: Target, signals: Signals, index: int, period: float, now: float) -> Track:
    """Take the reading of this tick in, and close the period when it is over.

    Alarms begin afresh after a gap: points that are not successive prove neither a need nor that there is none.
    """
    value = total_of(target, index, signals)
    elapsed = now - track.period_start
    if elapsed >= max(2 * period, GAP_SECONDS) or (elapsed >= period and not track.readings):
        track = Track(key=track.key, period_start=now)
    elif elapsed >= period:
        track = _close(track, target, now)
    if value is None or signals.ready == 0:
        return track
    return replace(
        track,
        total=track.total + value,
        replicas=track.replicas + signals.ready,
        readings=track.readings + 1,
    )


def _close(track: Track, target: Target, now: float) -> Track:
    per_replica = track.total / track.replicas
    return replace(
        track,
        period_start=now,
        total=0.0,
        replicas=0.0,
        readings=0,
        last=track.total / track.readings,
        above=track.above + 1 if per_replica > target.value else 0,
        below=track.below + 1 if per_replica < LOW_SHARE * target.value else 0,
    )


def _vote(target: Target, track: Track, signals: Signals, state: ScalerState) -> Vote:
    if track.last is None:
        return Vote(target, track, state.desired)
    wants = math.ceil(min(track.last / target.value, 1e6) - ROUNDING)
    queued = target.type == "ConcurrentRequestsPerReplica" and finite(signals.waiting) > 0
    if state.awaiting and (target.type in LAGGING or queued):
        wants = min(wants, state.desired)
    return Vote(target, track, max(wants, 0))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _words(vote: Vote, period: float) -> str:
    seen = "no whole period yet" if vote.track.last is None else f"{vote.track.last:.3g} {UNIT[vote.target.type]}"
    if vote.alarm == "high":
        since = f"above for {vote.track.above * period:.0f} s"
    elif vote.track.below:
        points = min(vote.track.below, POINTS_BELOW)
        since = f"below for {points * period:.0f} of {POINTS_BELOW * period:.0f} s"
    else:
        since = "near the target" if not vote.track.above else f"above for {vote.track.above * period:.0f} s"
    return f"{vote.target.type} {seen} / target {vote.target.value:g} -> {vote.wants} ({since})"
