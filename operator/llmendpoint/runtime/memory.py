"""What the operator remembers of each endpoint between two reconciles. All of it can be rebuilt."""

from dataclasses import dataclass, field
from typing import Any

from llmendpoint.api.status import ScalingStatus
from llmendpoint.reconcile.observation import ChildKey, Observation
from llmendpoint.reconcile.stall import StallWatch
from llmendpoint.reconcile.usage import Account, opened
from llmendpoint.runtime.store import Key
from llmendpoint.scaling.decision import Decision
from llmendpoint.scaling.record import moved
from llmendpoint.scaling.signals import ReadingWindow, Signals
from llmendpoint.scaling.state import ScalerState, decode, initial_state


@dataclass
class Memory:
    """The scaler's side of one endpoint."""

    uid: str
    state: ScalerState
    scaling: ScalingStatus | None
    """What the scaler last had to say."""
    account: Account
    """GPU time used, which status.usage tells of now and then."""
    window: ReadingWindow = field(default_factory=ReadingWindow)
    signals: Signals | None = None
    decision: Decision | None = None
    load: dict[str, float] = field(default_factory=dict)
    """Requests in flight by pod at the last tick."""
    unread: tuple[tuple[str, str], ...] = ()
    """(pod, why) of ready pods that could not be read at the last tick."""
    unanswered: tuple[str, ...] = ()
    """Why PromQL targets had no value at the last tick."""
    stall: StallWatch = field(default_factory=StallWatch)
    stalled: tuple[str, ...] = ()
    """Pods that made no step for long at the last tick."""
    accepted: dict[ChildKey, Any] = field(default_factory=dict)
    """Children as the API server stored our last apply (see reconcile.plan.make_plan)."""
    revised: dict[str, int] = field(default_factory=dict)
    """Workload -> its generation when its pod template was last applied."""
    is_moved: bool = False
    """Whether the times of the status are those of a clock that was set since."""
    served: frozenset[str] | None = None
    """UIDs of the pods that were seen to serve; None before the first tick."""

    def move(self, seconds: float) -> None:
        """Take all times along with a clock that was set. Rates are unknown for one tick, as after a start."""
        self.is_moved = True
        self.state = self.state.moved(seconds)
        self.scaling = self.scaling and moved(self.scaling, seconds)
        self.account = self.account.moved(seconds)
        self.window, self.stall = ReadingWindow(), StallWatch()

    @property
    def scaling_status(self) -> ScalingStatus | None:
        """What status.scaling should say: nothing where the scaler is off."""
        return self.scaling if self.state.mode != "Off" else None

    def note(self, status: ScalingStatus, decision: Decision) -> bool:
        """Keep what a decision made of status.scaling. Returns whether it says anything new."""
        if status is self.scaling:
            return False
        self.scaling, self.decision = status, decision
        return True


class Memories:
    """The memory of every endpoint; a new one is rebuilt from the endpoint's status."""

    def __init__(self) -> None:
        self._by_key: dict[Key, Memory] = {}

    def of(self, key: Key, seen: Observation, now: float) -> Memory:
        """The memory of an endpoint; that of a deleted namesake is not taken over."""
        memory = self._by_key.get(key)
        if memory is None or memory.uid != seen.endpoint.uid:
            memory = self._by_key[key] = _rebuilt(seen, now)
        return memory

    def move(self, seconds: float) -> None:
        """Take all times along with a clock that was set."""
        for memory in self._by_key.values():
            memory.move(seconds)

    def forget(self, key: Key) -> None:
        """The endpoint is gone."""
        self._by_key.pop(key, None)


def _rebuilt(seen: Observation, now: float) -> Memory:
    endpoint = seen.endpoint
    scaling = endpoint.spec.scaling
    current = seen.ordered if seen.ordered is not None else endpoint.spec.replicas
    if current is None:
        # At least one: a mistake in the spec is to show at once and not at the first request.
        current = max(scaling.min_replicas, 1) if scaling else 1
    known = endpoint.status.scaling
    return Memory(
        uid=endpoint.uid,
        state=decode(known.state, current, now) if known else initial_state(current, now),
        scaling=known,
        account=opened(endpoint.status.usage, now),
    )
