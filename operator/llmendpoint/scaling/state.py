"""What the scaler must remember over a restart, and its form in status.scaling.state."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from llmendpoint.scaling.bursts import Bursts
from llmendpoint.scaling.correction import Correction
from llmendpoint.scaling.engine_model import EngineModel
from llmendpoint.scaling.wire import WIRE

Point = tuple[float, float]
"""(seconds since the epoch, value)"""
Hold = tuple[str, int]
"""(rule, replicas that would run without it)"""

# A label's value is no longer.
REVISION_LENGTH = 63
COLD_STARTS_KEPT = 20
HOLDS_KEPT = 10
# A record older than three ticks leaves out readings.
GAP_SECONDS = 30.0
# The year 5138, well before a date can no longer be written.
LATEST = 1e11


@dataclass(frozen=True)
class Track:
    """One target's alarms: how many evaluation periods in a row its metric was above or below."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    key: str
    """Which target this is; a changed target starts afresh."""
    period_start: float
    total: float = 0.0
    """Sum of the readings of the period so far; each is a total over replicas."""
    replicas: float = 0.0
    """Sum of the ready replicas at these readings."""
    readings: int = 0
    above: int = 0
    below: int = 0
    last: float | None = None
    """The last whole period's mean total."""


@dataclass(frozen=True)
class ScalerState:
    """Times are seconds since the epoch."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    desired: int
    seen_at: float
    """Clock of the last decision, to notice a clock that jumps backwards."""
    mode: str = ""
    scale_out_at: float | None = None
    scale_out_to: int = 0
    scale_out_done_at: float | None = None
    """When the replicas of the last scale-out were ready, or given up."""
    scale_in_at: float | None = None
    """Start of the running scale-in cooldown; a scale-out clears it."""
    last_scale_in_at: float | None = None
    active_at: float | None = None
    """When a request was seen last, or may have been there."""
    unknown_since: float | None = None
    at_max_since: float | None = None
    """Since when the policy has wanted more than maxReplicas."""
    hold: tuple[Point, ...] = ()
    """(time, replicas needed): only the entries that can still be the maximum of a window that ends now."""
    demand: tuple[Point, ...] = ()
    """(time, demand in replicas) of the last two minutes."""
    model: EngineModel = EngineModel()  # noqa: RUF009 - it is frozen, and so are the next
    """What one replica can do, as learned."""
    correction: Correction = Correction()  # noqa: RUF009
    bursts: Bursts = Bursts()  # noqa: RUF009
    revision: Annotated[str, Field(max_length=REVISION_LENGTH)] = ""
    """Of the engine's pods that the model was learned on; empty while it is not known."""
    tracks: tuple[Track, ...] = ()
    cold_starts: tuple[float, ...] = field(default=())
    """The last times from pod creation to ready, in seconds, oldest first."""

    reported: tuple[Hold, ...] = ()
    """The holds since the last change, each once: one that comes again is not news."""

    @property
    def milestones(self) -> tuple[Any, ...]:
        """What must reach the status at once: a restart that forgot it would decide differently, or say it again."""
        return (
            self.desired, self.mode, self.scale_out_at, self.scale_out_done_at, self.scale_in_at,
            self.unknown_since is None, self.cold_starts, self.reported,
        )  # fmt: skip

    @property
    def awaiting(self) -> bool:
        """Whether replicas of the last scale-out are still expected; they are given up after a while."""
        return self.scale_out_at is not None and self.scale_out_done_at is None

    def changed(self, **fields: Any) -> "ScalerState":
        """The state with some other values: dataclasses.replace() at a fifth of its cost, for what every tick does."""
        state = object.__new__(ScalerState)
        vars(state).update(vars(self), **fields)
        return state

    def learn_cold_start(self, seconds: float) -> "ScalerState":
        """Remember how long a replica took from creation to ready."""
        return replace(self, cold_starts=(*self.cold_starts, round(seconds, 1))[-COLD_STARTS_KEPT:])

    def served_by(self, revision: str) -> "ScalerState":
        """The state once all ready replicas are of a revision: another engine, model or GPU is learned anew.

        Args:
            revision: any name for it; empty where it is not known, or several serve.
        """
        if revision in {"", self.revision} or len(revision) > REVISION_LENGTH:
            return self
        return replace(self, revision=revision, model=self.model.doubted() if self.revision else self.model)

    def report(self, hold: Hold) -> "ScalerState":
        """Remember a hold as far as there is room: where the wish varies much, the first ones say enough."""
        if hold in self.reported or len(self.reported) >= HOLDS_KEPT:
            return self
        return replace(self, reported=(*self.reported, hold))

    def at(self, now: float) -> "ScalerState":
        """The state on a clock that may have been set back: every time moves along, so that nothing lasts longer."""
        return self if now >= self.seen_at else self.moved(now - self.seen_at)

    def moved(self, shift: float) -> "ScalerState":
        """The state on a clock that was set by so many seconds."""
        times: dict[str, Any] = {name: None if (at := getattr(self, name)) is None else at + shift for name in _TIMES}
        return replace(
            self,
            seen_at=self.seen_at + shift,
            hold=tuple((at + shift, value) for at, value in self.hold),
            demand=tuple((at + shift, value) for at, value in self.demand),
            tracks=tuple(replace(track, period_start=track.period_start + shift) for track in self.tracks),
            **times,
        )


_STATE = TypeAdapter(ScalerState)
_TIMES = (
    "scale_out_at", "scale_out_done_at", "scale_in_at", "last_scale_in_at", "active_at", "unknown_since",
    "at_max_since",
)  # fmt: skip


def initial_state(current: int, now: float) -> ScalerState:
    """The state of an endpoint that was never decided on: its size counts as needed until the window has passed."""
    return ScalerState(desired=current, seen_at=now, active_at=now, hold=((now, float(current)),))


def encode(state: ScalerState) -> dict[str, Any]:
    """The state as JSON values, without what is at its default."""
    return {name: value for name, value in _dumped(state).items() if name in _REQUIRED or value != _DEFAULTS[name]}


def _dumped(state: ScalerState) -> dict[str, Any]:
    dumped: dict[str, Any] = _STATE.dump_python(state, mode="json", by_alias=True)
    return dumped


_REQUIRED = ("desired", "seenAt")
_DEFAULTS = _dumped(ScalerState(desired=0, seen_at=0.0))


def decode(data: Mapping[str, Any], current: int, now: float) -> ScalerState:
    """The state that was encoded. What can not be read, by another version or by hand, is replaced by a safe start."""
    try:
        state = _STATE.validate_python(dict(data))
    except ValidationError:
        return initial_state(current, now)
    if not _is_sane(state):
        return initial_state(current, now)
    if now - state.seen_at <= GAP_SECONDS:
        return state
    # What was needed since then is not known: the size counts as needed now, and alarms begin afresh.
    hold = tuple(point for point in state.hold if point[1] > state.desired)
    return replace(state, hold=(*hold, (now, float(state.desired))), active_at=now, tracks=())


def _is_sane(state: ScalerState) -> bool:
    moments = (getattr(state, name) or 0.0 for name in _TIMES)
    times = [state.seen_at, *moments, *(at for at, _ in (*state.hold, *state.demand))]
    return state.desired >= 0 and all(0.0 <= at < LATEST for at in times)
