"""GPU-hours and their cost: counted from the GPUs that the engine's pods hold, kept in status over a restart.

The count goes on by itself and is no reason to write: status.usage is written when the GPUs that are held change or
when the status is written anyway, and whoever reads it counts on from there. So does an operator that starts: until its
first look at the pods, the GPUs of the record count as held.
"""

import math
from dataclasses import dataclass, field, replace

from llmendpoint.api.status import DryRunUsage, Usage
from llmendpoint.reconcile.gpus import gpus_of
from llmendpoint.reconcile.observation import Observation
from llmendpoint.reconcile.quota import replica_gpus
from llmendpoint.scaling.record import epoch, rfc3339

HOUR = 3600.0
# What a trial would save grows although nothing changes, and is looked at in the status.
TRIAL_SECONDS = 3600.0


@dataclass(frozen=True)
class Meter:
    """GPU time so far, and the GPUs that are held from now on."""

    gpus: int = 0
    gpu_seconds: float = 0.0
    cost: float | None = None
    """None while there never was a price."""

    @property
    def gpu_hours(self) -> float:
        """GPU time so far in hours."""
        return self.gpu_seconds / HOUR

    def after(self, seconds: float, price: float | None) -> "Meter":
        """Count the GPUs that were held for some time, at a price per GPU-hour if there is one."""
        more = self.gpus * seconds
        cost = self.cost if price is None else (self.cost or 0.0) + more / HOUR * price
        return replace(self, gpu_seconds=self.gpu_seconds + more, cost=cost)


@dataclass(frozen=True)
class Trial:
    """Mode DryRun: what the scaler would have used against what ran."""

    since: float
    would: Meter = field(default_factory=Meter)
    actual: Meter = field(default_factory=Meter)


@dataclass(frozen=True)
class Account:
    """What an endpoint has used. Times are seconds since the epoch, whole ones as in a status."""

    since: float
    at: float
    """Until when it is counted."""
    held: Meter = field(default_factory=Meter)
    trial: Trial | None = None

    def until(self, now: float, price: float | None) -> "Account":
        """Count on. A clock that was set back counts nothing twice."""
        seconds = max(math.floor(now) - self.at, 0.0)
        trial = self.trial and replace(
            self.trial, would=self.trial.would.after(seconds, price), actual=self.trial.actual.after(seconds, price)
        )
        return replace(self, at=float(math.floor(now)), held=self.held.after(seconds, price), trial=trial)

    def moved(self, seconds: float) -> "Account":
        """The account on a clock that was set: no time has passed by that."""
        return replace(self, at=self.at + round(seconds))

    def holding(self, gpus: int, wanted: int | None) -> "Account":
        """From now on so many GPUs are held, and so many would be in mode DryRun; None in another mode."""
        held = replace(self.held, gpus=gpus)
        if wanted is None:
            return replace(self, held=held, trial=None)
        trial = self.trial or Trial(self.at)
        trial = replace(trial, would=replace(trial.would, gpus=wanted), actual=replace(trial.actual, gpus=gpus))
        return replace(self, held=held, trial=trial)


def opened(usage: Usage | None, now: float) -> Account:
    """The account that a status tells of, or a new one."""
    if usage is None:
        return Account(since=float(math.floor(now)), at=float(math.floor(now)))
    dry = usage.dry_run
    return Account(
        since=epoch(usage.since),
        at=epoch(usage.as_of),
        held=Meter(usage.gpus, usage.gpu_hours * HOUR, usage.cost),
        trial=Trial(
            epoch(dry.since),
            would=Meter(dry.gpus, dry.gpu_hours * HOUR, dry.cost),
            actual=Meter(usage.gpus, dry.actual_gpu_hours * HOUR, dry.actual_cost),
        )
        if dry
        else None,
    )


def counted(account: Account, seen: Observation, wanted: int, now: float, default_price: float | None) -> Account:
    """The account after a look at the pods.

    Args:
        wanted: replicas that the scaler wants; each counts from when it is ordered.
        default_price: per GPU-hour, where the endpoint gives none.
    """
    scaling = seen.endpoint.spec.scaling
    price = scaling.price_per_gpu_hour if scaling and scaling.price_per_gpu_hour is not None else default_price
    is_trial = scaling is not None and scaling.mode == "DryRun"
    would = wanted * replica_gpus(seen).total() if is_trial else None
    return account.until(now, price).holding(gpus_held(seen), would)


def gpus_held(seen: Observation) -> int:
    """GPUs of the engine's pods that are on a node: those start, serve or drain, and all of it is paid."""
    specs = (pod.body.get("spec") or {} for pod in (*seen.engine_pods, *seen.worker_pods))
    return sum(gpus_of(spec).total() for spec in specs if "nodeName" in spec)


def record(account: Account) -> Usage:
    """The account as status.usage says it."""
    held, trial = account.held, account.trial
    return Usage(
        since=rfc3339(account.since),
        as_of=rfc3339(account.at),
        gpus=held.gpus,
        gpu_hours=round(held.gpu_hours, 4),
        cost=_rounded(held.cost),
        dry_run=DryRunUsage(
            since=rfc3339(trial.since),
            gpus=trial.would.gpus,
            gpu_hours=round(trial.would.gpu_hours, 4),
            actual_gpu_hours=round(trial.actual.gpu_hours, 4),
            cost=_rounded(trial.would.cost),
            actual_cost=_rounded(trial.actual.cost),
            saved_cost=_saved(trial),
        )
        if trial
        else None,
    )


def is_news(account: Account, known: Usage | None) -> bool:
    """Whether a record can no longer be counted on from, or a trial's has become old."""
    if account.held.gpus != (known.gpus if known else 0):
        return True
    shown = known.dry_run if known else None
    if known is None or shown is None or account.trial is None:
        return (account.trial is None) != (shown is None)
    if shown.gpus != account.trial.would.gpus:
        return True
    differs = account.trial.would.gpus != account.held.gpus
    return differs and account.at - epoch(known.as_of) >= TRIAL_SECONDS


def trial_sentence(trial: DryRunUsage) -> str:
    """What a trial has shown."""
    hours = trial.actual_gpu_hours - trial.gpu_hours
    difference = f"{abs(hours):.1f} {'fewer' if hours >= 0 else 'more'} than ran"
    words = f"would have used {trial.gpu_hours:.1f} GPU-hours, {difference}"
    if trial.cost is not None and trial.saved_cost is not None:
        difference = f"{abs(trial.saved_cost):.2f} {'less' if trial.saved_cost >= 0 else 'more'}"
        words += f", at a cost of {trial.cost:.2f}, {difference}"
    return f"{words}, since {trial.since}"


def _saved(trial: Trial) -> float | None:
    if trial.would.cost is None or trial.actual.cost is None:
        return None
    return round(trial.actual.cost - trial.would.cost, 4)


def _rounded(cost: float | None) -> float | None:
    return None if cost is None else round(cost, 4)
