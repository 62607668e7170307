"""The Demand policy: size on the work that is offered, not on the backlog that a cold start piles up.

Flow by conservation needs no proxy: what arrives is what was finished plus the change of what is in flight. What a
request costs a replica is learned (engine_model.py), how many replicas keep waits short is queueing (staffing.py), and
experience has the last word (correction.py).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from llmendpoint.api.scaling import Demand, Scaling
from llmendpoint.scaling.backlog import backlog_replicas, taken_up
from llmendpoint.scaling.cold_start import cold_start_seconds
from llmendpoint.scaling.engine_model import Cost
from llmendpoint.scaling.signals import Signals, finite
from llmendpoint.scaling.staffing import FULL, deviation, replicas_for
from llmendpoint.scaling.state import Point, ScalerState

MEAN_SECONDS = 120.0
RECENT_SECONDS = 30.0
# Standard deviations of half a minute's demand that are no jump.
JUMP = 2.0
# Reading its own prompt is no wait, and half of that again is lost to the others in the batch.
PREFILL_ALLOWANCE = 1.5
# Stuck replicas are replaced; the larger the share that is, the sooner their successors will be stuck with the like.
PER_STUCK_SHARE = 5.0
# Noise in the last digits must not decide between n and n + 1 replicas.
ROUNDING = 1e-6
MOST = 1e6


def desire(scaling: Scaling, state: ScalerState, signals: Signals, now: float) -> tuple[ScalerState, "DemandDesire"]:
    """Replicas for the offered work, for those that are stuck, and for the backlog that would outlast a cold start."""
    learned = state.model.cost(signals.slots)
    cost = learned if signals.arrival_rate is not None else None
    if cost is None:
        # Used slots are another measure than flow: no mean is taken over both.
        state = state if learned else state.changed(demand=())
        mean = steady = recent = finite(signals.occupancy, most=MOST)
    else:
        demand = min(finite(signals.arrival_rate) * cost.total, MOST)
        earlier = [point for point in state.demand if now - point[0] <= MEAN_SECONDS]
        state = state.changed(demand=(*earlier, (now, round(demand, 4))))
        # The mean over two minutes rides out noise; when load jumps by more than that, the last half minute says more.
        steady = _mean(state.demand)
        recent = _mean([point for point in state.demand if now - point[0] <= RECENT_SECONDS])
        mean = max(steady, recent - JUMP * deviation(steady, cost.total, RECENT_SECONDS))
    need = _need(scaling.demand, state, signals, cost, mean, steady)
    wanted = min(max(need.flow + need.stuck, need.backlog, need.bursts), MOST)
    return state, DemandDesire(
        math.ceil(wanted - ROUNDING), scaling.demand, signals, state.cold_starts, state.correction.factor,
        state.awaiting, cost, Means(mean, steady, recent), need,
    )  # fmt: skip


class Means(NamedTuple):
    """Demand in replicas: what is planned with, and the two means that it comes from."""

    planned: float
    steady: float
    recent: float


class Need(NamedTuple):
    """Replicas that each consideration asks for."""

    flow: float
    """For the work that is offered, waits kept short."""
    short: float | None = None
    """The same before experience corrects it; None where used slots are the measure."""
    lost: float = 0.0
    """Capacity of the replicas that are stuck."""
    stuck: float = 0.0
    """Beside flow, for these."""
    backlog: float = 0.0
    bursts: float = 0.0
    """For bursts that come again."""


def _need(demand: Demand, state: ScalerState, signals: Signals, cost: Cost | None, mean: float, steady: float) -> Need:
    if cost is None:
        return Need(flow=mean / FULL)
    objective = demand.ttft_seconds + PREFILL_ALLOWANCE * cost.prefill
    short = replicas_for(mean, cost.total, objective, demand.error_budget)
    lost = _lost(demand.ttft_seconds, signals, cost)
    return Need(
        flow=max(short * state.correction.factor, steady),  # however few are late
        short=short,
        lost=lost,
        stuck=lost * (1.0 + PER_STUCK_SHARE * lost / max(signals.ready, 1)),
        backlog=backlog_replicas(
            mean,
            steady,
            signals.ready,
            signals.queues,
            request_seconds=cost.total,
            cold_start=cold_start_seconds(state.cold_starts),
            coming=state.desired if state.awaiting else None,
        ),
        bursts=state.bursts.replicas(demand.error_budget),
    )


def _lost(objective: float, signals: Signals, cost: Cost) -> float:
    """Capacity that is lost to few requests much larger than the mean, behind which the others wait."""
    return sum(
        max(1.0 - queue.finished_per_second * cost.total, 0.0)
        for queue in signals.queues
        if queue.waiting > objective * queue.finished_per_second
    )


def _mean(points: Sequence[Point]) -> float:
    return sum([value for _, value in points]) / len(points)


@dataclass(frozen=True)
class DemandDesire:
    """The replicas that Demand asks for, and what they follow from."""

    raw: int
    settings: Demand
    signals: Signals
    cold_starts: tuple[float, ...]
    factor: float
    """The correction."""
    awaiting: bool
    """Whether replicas of the last scale-out are still expected."""
    cost: Cost | None
    means: Means
    need: Need

    @property
    def why(self) -> str:
        """Demand, head-room, what is stuck, the backlog."""
        cost, need, demand = self.cost, self.need, self.means.planned
        if cost is None:
            text = f"demand {demand:.1f} replicas (batch slots and KV cache in use) / {FULL:g} -> {need.flow:.1f}"
        else:
            text = (
                f"demand {demand:.1f} replicas ({finite(self.signals.arrival_rate):.1f} req/s x {cost.total:.3g} "
                f"s); waits of {1.0 - self.settings.error_budget:.4g} within {self.settings.ttft_seconds:g} s, "
                f"corrected x {self.factor:.2f} -> {need.flow:.1f}"
            )
        if need.stuck:
            text = f"{text}; replicas are stuck with large requests -> + {need.stuck:.1f}"
        text = f"{text}; backlog {f'-> {need.backlog:.1f}' if need.backlog else 'none'}"
        return f"{text}; bursts that come again -> {need.bursts:.1f}" if need.bursts else text

    @property
    def inputs(self) -> Mapping[str, float | int | None]:
        """The readings that went in, and the settings."""
        signals = self.signals
        return {
            "arrivalRate": _rounded(signals.arrival_rate),
            "running": _rounded(signals.running),
            "waiting": _rounded(signals.waiting),
            "kvUsage": _rounded(signals.kv_usage),
            "occupancy": _rounded(signals.occupancy),
            "slotsPerReplica": signals.slots,
            "readingAgeSeconds": _rounded(signals.age),
            "podsRead": signals.known,
            "podsUnread": signals.unknown,
            "awaitingReplicas": self.awaiting,
            "ttftSeconds": self.settings.ttft_seconds,
            "errorBudget": self.settings.error_budget,
        }

    @property
    def terms(self) -> Mapping[str, float | None]:
        """Intermediate numbers of the formula."""
        cost, need, means = self.cost, self.need, self.means
        cold_start = cold_start_seconds(self.cold_starts)
        return {
            "demandMean": round(means.planned, 3),
            "demandSteady": round(means.steady, 3),
            "demandRecent": round(means.recent, 3),
            "shortWaitReplicas": _rounded(need.short),
            "flowReplicas": round(need.flow, 3),
            "lostReplicas": round(need.lost, 3),
            "stuckReplicas": round(need.stuck, 3),
            "takenReplicas": _rounded(taken_up(self.signals.queues, cost.total, cold_start)) if cost else None,
            "backlogReplicas": round(need.backlog, 3),
            "burstReplicas": round(need.bursts, 3),
            "prefillSecondsPerRequest": round(cost.prefill, 5) if cost else None,
            "decodeSecondsPerRequest": round(cost.decode, 5) if cost else None,
            "requestsPerFullReplica": round(cost.batch, 1) if cost else None,
            "correctionFactor": round(self.factor, 3),
            "coldStartSeconds": round(cold_start, 1),
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(finite(value), 3)
