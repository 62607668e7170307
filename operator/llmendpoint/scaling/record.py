"""What status.scaling says: written when the outcome or its reason changes, not at each tick."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from llmendpoint.api.status import DecisionRecord, ScaleChange, ScalingStatus
from llmendpoint.scaling.cold_start import summary
from llmendpoint.scaling.decision import Decision, Outcome
from llmendpoint.scaling.state import ScalerState, decode, encode

CHANGES_KEPT = 10
# A reason that flickers is worth a write now and then, not at each tick.
REASON_SECONDS = 30.0
# Noise takes the wish over a bound and back for hours.
NOISE_SECONDS = 600.0
NOISE = frozenset({Outcome.STEADY, Outcome.HELD})


def scaling_status(state: ScalerState, decision: Decision, previous: ScalingStatus | None, now: float) -> ScalingStatus:
    """The new status.scaling, or ``previous`` itself when it still says what matters."""
    if previous is not None and not _is_news(state, decision, previous, now):
        return previous
    history = list(previous.history) if previous else []
    if decision.desired != decision.current:
        history.insert(
            0,
            ScaleChange(
                time=rfc3339(decision.time),
                from_replicas=decision.current,
                to_replicas=decision.desired,
                sentence=decision.sentence,
            ),
        )
    return ScalingStatus(
        desired_replicas=decision.desired,
        last_scale_out_time=_time(state.scale_out_at),
        last_scale_in_time=_time(state.last_scale_in_at),
        cold_start_seconds=summary(state.cold_starts),
        decision=_record(decision),
        history=history[:CHANGES_KEPT],
        state=encode(state),
    )


def tells_of_hold(status: ScalingStatus, previous: ScalingStatus | None) -> bool:
    """Whether a status tells of a hold that is new, by its rule or the replicas wanted, since the last change."""
    known = previous.state.get("reported", []) if previous else []
    is_held = status.decision is not None and status.decision.held_by is not None
    return is_held and any(hold not in known for hold in status.state.get("reported", []))


def tells_of_change(status: ScalingStatus, previous: ScalingStatus | None) -> bool:
    """Whether a status tells of another count, of a hold that is new, or of metrics that come or go."""
    known, now = previous.decision if previous else None, status.decision
    if now is None:
        return False
    is_lost, was_lost = (which is not None and which.reason == Outcome.METRICS_UNKNOWN for which in (now, known))
    return now.desired != now.current or is_lost != was_lost or tells_of_hold(status, previous)


def moved(status: ScalingStatus, seconds: float) -> ScalingStatus:
    """The status on a clock that was set by so many seconds, as far as its age is looked at."""
    if status.decision is None:
        return status
    decision = status.decision.model_copy(update={"time": rfc3339(epoch(status.decision.time) + seconds)})
    return status.model_copy(update={"decision": decision})


def _is_news(state: ScalerState, decision: Decision, previous: ScalingStatus, now: float) -> bool:
    known = previous.decision
    if known is None or decision.desired != decision.current or previous.desired_replicas != decision.desired:
        return True
    if decode(previous.state, decision.current, now).milestones != state.milestones:
        return True
    if (known.reason, known.held_by) == (decision.reason, decision.held_by):
        return False
    if known.reason in {Outcome.SCALE_OUT, Outcome.SCALE_IN}:
        return True  # the change itself is in the history; what follows it, a cooldown say, is worth knowing at once
    seconds = NOISE_SECONDS if NOISE.issuperset({known.reason, decision.reason}) else REASON_SECONDS
    return now - epoch(known.time) >= seconds


def _record(decision: Decision) -> DecisionRecord:
    return DecisionRecord(
        time=rfc3339(decision.time),
        sentence=decision.sentence,
        reason=decision.reason,
        current=decision.current,
        raw=decision.raw,
        desired=decision.desired,
        inputs=_known(decision.inputs),
        terms=_known(decision.terms),
        clamps=list(decision.clamps),
        held_by=decision.held_by,
        held_until=_time(decision.held_until),
        expected_ready_time=_time(decision.expected_ready),
    )


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else rfc3339(seconds)


def rfc3339(seconds: float) -> str:
    """A time as the API server writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch(timestamp: str) -> float:
    """Seconds since the epoch of an RFC 3339 time."""
    return datetime.fromisoformat(timestamp).timestamp()
