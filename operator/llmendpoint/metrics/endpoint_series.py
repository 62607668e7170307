"""Series per endpoint, made of what was last seen, decided and counted when somebody asks."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from llmendpoint.api.scaling import Scaling
from llmendpoint.api.status import Condition
from llmendpoint.metrics import families
from llmendpoint.metrics.families import Family
from llmendpoint.reconcile.usage import Account
from llmendpoint.scaling.cold_start import summary
from llmendpoint.scaling.decision import Decision, Replicas
from llmendpoint.scaling.job_queue import JobQueue
from llmendpoint.scaling.schedules import limits
from llmendpoint.scaling.signals import Signals

Key = tuple[str, str]
"""(namespace, name)"""
Point = tuple[Family, tuple[str, ...], float]
"""A metric, the values of its labels after namespace and name, and its value."""


@dataclass(frozen=True)
class Look:
    """What the last tick saw of an endpoint."""

    at: float
    """Seconds since the epoch."""
    replicas: Replicas
    signals: Signals
    scaling: Scaling
    oldest_start: float
    """Seconds."""
    cold_starts: Sequence[float]
    """Seconds."""


class EndpointSeries(Collector):
    """What is known of each endpoint now. Where something is not known, there is no series."""

    def __init__(self) -> None:
        self.accounts: dict[Key, Account] = {}
        self.decisions: dict[Key, Decision] = {}
        self.looks: dict[Key, Look] = {}
        self.conditions: dict[Key, Sequence[Condition]] = {}
        self.changes: dict[Key, Counter[str]] = defaultdict(Counter)
        """Changes of the replica count, out and in."""

    def forget(self, key: Key) -> None:
        """The endpoint is gone."""
        self.accounts.pop(key, None)
        self.decisions.pop(key, None)
        self.looks.pop(key, None)
        self.conditions.pop(key, None)
        self.changes.pop(key, None)

    def collect(self) -> Iterator[Metric]:
        """All series."""
        made = {family: _empty(family) for family in families.ENDPOINT}
        for key, points in self._points():
            for family, labels, value in points:
                made[family].add_metric((*key, *labels), value)
        yield from made.values()

    def _points(self) -> Iterator[tuple[Key, Iterator[Point]]]:
        yield from ((key, _of_look(look)) for key, look in self.looks.items())
        # 0 from the first look on, or a rate would miss the first change.
        yield from ((key, _of_changes(self.changes.get(key, {}))) for key in {*self.looks, *self.changes})
        yield from ((key, _of_decision(decision)) for key, decision in self.decisions.items())
        yield from ((key, _of_conditions(conditions)) for key, conditions in self.conditions.items())
        yield from ((key, _of_account(account)) for key, account in self.accounts.items())


def _empty(family: Family) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    return kind(family.name, family.meaning, labels=family.labels)


def _of_look(look: Look) -> Iterator[Point]:
    replicas = look.replicas
    for state, count in (
        ("ready", replicas.ready),
        ("starting", replicas.starting),
        ("unready", replicas.unready),
        ("unschedulable", replicas.unschedulable),
        ("draining", replicas.draining),
    ):
        yield families.REPLICAS, (state,), count
    yield families.RUNNING, (), look.signals.running
    yield families.WAITING, (), look.signals.waiting
    yield families.HELD, (), look.signals.held
    yield families.UNREAD, (), look.signals.unknown
    yield families.OLDEST_START, (), look.oldest_start
    if look.scaling.mode != "Off":
        bounds = limits(look.scaling, look.at)
        yield families.MIN_REPLICAS, (), bounds.low.replicas
        yield families.MAX_REPLICAS, (), bounds.high.replicas
    if jobs := look.signals.jobs:
        yield from _of_jobs(jobs)
    if learned := summary(look.cold_starts):
        yield families.COLD_START, ("0.5",), learned.p50
        yield families.COLD_START, ("0.9",), learned.p90


def _of_jobs(jobs: JobQueue) -> Iterator[Point]:
    yield families.JOB_LIMIT, (), jobs.longest_wait
    if jobs.backlog:
        yield families.JOBS, ("queued",), jobs.backlog.queued
        yield families.JOBS, ("in_progress",), jobs.backlog.in_progress
        yield families.OLDEST_JOB, (), jobs.backlog.oldest_seconds


def _of_changes(changes: Mapping[str, int]) -> Iterator[Point]:
    for direction in ("out", "in"):
        yield families.SCALE_CHANGES, (direction,), changes.get(direction, 0)


def _of_decision(decision: Decision) -> Iterator[Point]:
    yield families.DEMAND, (), decision.raw
    yield families.DESIRED, (), decision.desired
    if decision.held_by:
        yield families.HOLD, (decision.held_by,), 1


def _of_conditions(conditions: Sequence[Condition]) -> Iterator[Point]:
    for found in conditions:
        yield families.CONDITION, (found.type, found.reason), found.status == "True"


def _of_account(account: Account) -> Iterator[Point]:
    held, trial = account.held, account.trial
    yield families.GPUS, (), held.gpus
    yield families.GPU_HOURS, (), held.gpu_hours
    if held.cost is not None:
        yield families.COST, (), held.cost
    if trial is not None:
        yield families.DRY_RUN_GPU_HOURS, (), trial.would.gpu_hours
        if trial.would.cost is not None:
            yield families.DRY_RUN_COST, (), trial.would.cost
