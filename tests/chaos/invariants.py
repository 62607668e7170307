"""What must hold of all that was written to a cluster, whatever was done to it meanwhile: pure, over its audit log.

Each violation is a sentence: when, what, by whom, and what is wrong with it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from chaos.audit import Record
from llmendpoint.api.names import MANAGER_SCALER

Direction = Literal["in", "out"]
Key = tuple[str, str]

# A change may be stored so long after a span has begun: it was decided on what was read before.
LATE = timedelta(seconds=3)
# Times in a status are whole seconds.
WHOLE_SECOND = timedelta(seconds=1)
DEFAULT_COOLDOWN_SECONDS = 60
KEPT = frozenset(
    {"deployments", "services", "persistentvolumeclaims", "horizontalpodautoscalers", "poddisruptionbudgets"}
)


@dataclass(frozen=True)
class Span:
    """A while in which the count may not be changed in one direction, by what the test did."""

    namespace: str
    begin: datetime
    end: datetime
    forbids: Direction
    why: str


@dataclass(frozen=True)
class Change:
    """A count of replicas that the scaler wants, other than the one that it wanted before."""

    record: Record
    before: int
    after: int

    @property
    def direction(self) -> Direction:
        return "out" if self.after > self.before else "in"

    @property
    def says(self) -> str:
        return f"{self.record.says}: {self.before} -> {self.after} replicas"


def violations(records: Sequence[Record], spans: Sequence[Span], *, operator: str) -> list[str]:
    """All that is wrong in these records.

    Args:
        operator: the user that the operator is. What the test itself does is its own affair.
    """
    return [
        *out_of_bounds(records, operator),
        *in_forbidden_spans(records, spans, operator),
        *within_cooldown(records, operator),
        *not_told_first(records, operator),
        *wrongly_deleted(records, operator),
    ]


def out_of_bounds(records: Iterable[Record], operator: str) -> Iterator[str]:
    """Counts that are below minReplicas or above maxReplicas as they were then."""
    bounds: dict[Key, tuple[int, int]] = {}
    for record in records:
        key = (record.namespace, _endpoint(record))
        if record.resource == "llmendpoints" and record.body.get("spec"):
            scaling = record.body["spec"].get("scaling")
            if scaling is None:
                bounds.pop(key, None)
            else:
                bounds[key] = (scaling["minReplicas"], scaling["maxReplicas"])
        count = _counted(record, operator)
        if count is not None and key in bounds and not bounds[key][0] <= count <= bounds[key][1]:
            yield f"{record.says}: {count} replicas, where the bounds are {bounds[key][0]} to {bounds[key][1]}"


def in_forbidden_spans(records: Sequence[Record], spans: Sequence[Span], operator: str) -> Iterator[str]:
    """Changes of what is wanted in a direction that what the test did gives no reason for.

    A Deployment may follow later than that: the next operator carries out what a killed one wanted.
    """
    for change in told(records, operator):
        for span in spans:
            inside = span.begin + LATE <= change.record.at <= span.end
            if inside and span.namespace == change.record.namespace and span.forbids == change.direction:
                yield f"{change.says}, although {span.why} since {span.begin:%H:%M:%S}"


def within_cooldown(records: Iterable[Record], operator: str) -> Iterator[str]:
    """Scale-ins that follow another one before scaleIn.cooldownSeconds are over, and no scale-out between the two.

    Judged by the times of the decisions, which the statuses tell: an API server that was away takes several at once.
    """
    known: dict[Key, datetime] = {}
    for record in records:
        scaling = _told(record, operator)
        if scaling is None or "lastScaleInTime" not in scaling:
            continue
        key, at = (record.namespace, record.name), datetime.fromisoformat(scaling["lastScaleInTime"])
        before, known[key] = known.get(key, at), at
        out = scaling.get("lastScaleOutTime")
        is_cancelled = out is not None and datetime.fromisoformat(out) >= before
        rules = record.body["spec"]["scaling"].get("scaleIn", {})
        seconds = rules.get("cooldownSeconds", DEFAULT_COOLDOWN_SECONDS)
        if at > before and at - before < timedelta(seconds=seconds) - WHOLE_SECOND and not is_cancelled:
            gap = (at - before).total_seconds()
            yield f"{record.says}: a scale-in {gap:g} s after the last one, where the cooldown is {seconds} s"


def not_told_first(records: Iterable[Record], operator: str) -> Iterator[str]:
    """Counts that a Deployment got before the status said so: an operator that dies between the two would forget."""
    wanted: dict[Key, int] = {}
    for record in records:
        key = (record.namespace, _endpoint(record))
        if (scaling := _told(record, operator)) is not None:
            wanted[key] = scaling["desiredReplicas"]
        count = _done(record, operator)
        if count is not None and key in wanted and count != wanted[key]:
            yield f"{record.says}: {count} replicas, where the status says that {wanted[key]} are wanted"


def wrongly_deleted(records: Iterable[Record], operator: str) -> Iterator[str]:
    """Children that the operator or the garbage collector deleted while their endpoint was there, and serving pods.

    The operator may delete a pod that somebody has deleted or evicted already: that shortens its grace.
    """
    living: set[Key] = set()
    doomed: set[tuple[str, str, str]] = set()
    # A deletion that follows from another one was asked for later, but may be answered sooner.
    for record in sorted(records, key=lambda record: record.at):
        if record.resource == "llmendpoints":
            key = (record.namespace, record.name)
            (living.discard if record.verb == "delete" else living.add)(key)
        if record.resource == "pods/eviction":
            doomed.add(("pods", record.namespace, record.name))
        if record.verb != "delete" or not any(_is_of(record, key) for key in living):
            continue
        target = (record.resource, record.namespace, record.name)
        is_collector = any(name.endswith(":generic-garbage-collector") for name in (record.who, record.agent))
        if target not in doomed and record.resource in KEPT and (record.who == operator or is_collector):
            yield f"{record.says}: its endpoint is there"
        if target not in doomed and record.resource == "pods" and record.who == operator:
            yield f"{record.says}: nobody had deleted it before"
        doomed.add(target)


def told(records: Iterable[Record], operator: str) -> Iterator[Change]:
    """Each change of what the scaler says that it wants."""
    known: dict[Key, int] = {}
    for record in records:
        if (scaling := _told(record, operator)) is not None:
            key, count = (record.namespace, record.name), scaling["desiredReplicas"]
            before, known[key] = known.get(key, count), count
            if count != before:
                yield Change(record, before, count)


def _told(record: Record, operator: str) -> dict[str, Any] | None:
    if record.resource != "llmendpoints/status" or record.who != operator:
        return None
    found: dict[str, Any] | None = record.body.get("status", {}).get("scaling")
    return found


def _done(record: Record, operator: str) -> int | None:
    if record.resource != "deployments" or record.who != operator or record.manager != MANAGER_SCALER:
        return None
    return int(record.body["spec"]["replicas"])


def _counted(record: Record, operator: str) -> int | None:
    scaling = _told(record, operator)
    return scaling["desiredReplicas"] if scaling is not None else _done(record, operator)


def _endpoint(record: Record) -> str:
    return record.name.removesuffix("-engine") if record.resource == "deployments" else record.name


def _is_of(record: Record, endpoint: Key) -> bool:
    """Whether an object is the endpoint's, by the names that children have."""
    return record.namespace == endpoint[0] and f"{record.name}-".startswith(f"{endpoint[1]}-")
