"""The Demand policy: size on the work that is offered, not on the backlog that a cold start piles up.

Flow by conservation needs no proxy: what arrives is what was finished plus the change of what is in flight. One
replica's capacity is learned when its queue is not empty, since it then works as fast as it can.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import dropwhile, pairwise, takewhile
from statistics import fmean, median

from llmendpoint.api.scaling import Scaling
from llmendpoint.scaling.cold_start import cold_start_seconds
from llmendpoint.scaling.decision import Desire
from llmendpoint.scaling.signals import Signals, finite
from llmendpoint.scaling.state import Point, ScalerState

MEAN_SECONDS = 120.0
RECENT_SECONDS = 30.0
SPREAD_SECONDS = 600.0
# Fewer differences can not tell a jump from noise.
FEWEST_STEPS = 6
LEARNING_WEIGHT = 0.3
# Above 0.85 of the KV cache engines begin to preempt (measured: use oscillates between 0.78 and 1.0).
KV_LIMIT = 0.85
# Noise in the last digits must not decide between n and n + 1 replicas.
ROUNDING = 1e-6
# Tokens per second and tokens per request outside of this are broken readings.
PLAUSIBLE = (1e-3, 1e9)


def desire(scaling: Scaling, state: ScalerState, signals: Signals, now: float) -> tuple[ScalerState, Desire]:
    """Replicas for the offered work with head-room, for the backlog that would outlast a cold start, and for KV."""
    capacity = _learned(state.capacity, signals.saturated_work_rate)
    work = _learned(state.work_per_request, signals.work_per_request)
    demand = _demand(capacity, work, signals)
    earlier = tuple(dropwhile(lambda point: now - point[0] > SPREAD_SECONDS, state.demand))
    points = (*earlier, (now, round(demand, 4)))
    state = replace(state, capacity=capacity, work_per_request=work, demand=points)

    # The mean over two minutes rides out noise; when load jumps, the last half minute says more.
    mean = max(_mean(points, now, MEAN_SECONDS), _mean(points, now, RECENT_SECONDS))
    # Without the newest point: more demand must never lower the answer.
    spread = _spread([value for _, value in earlier])
    flow = (mean + scaling.demand.headroom * spread) / scaling.demand.utilization
    cold_start = cold_start_seconds(state.cold_starts)
    backlog = _backlog(state, signals, mean, cold_start)
    kv = finite(signals.kv_usage, most=1e6) / KV_LIMIT
    raw = math.ceil(min(max(flow, backlog, kv), 1e6) - ROUNDING)
    return state, Desire(
        raw=max(raw, 0),
        why=_words(scaling, state, signals, mean, spread, flow, backlog, kv),
        inputs=_inputs(signals),
        terms={
            "demandMean": round(mean, 3),
            "demandSpread": round(spread, 3),
            "flowReplicas": round(flow, 3),
            "backlogReplicas": round(backlog, 3),
            "kvReplicas": round(kv, 3),
            "capacityTokensPerSecond": round(state.capacity, 1) if state.capacity else None,
            "weightedTokensPerRequest": round(state.work_per_request, 1) if state.work_per_request else None,
            "coldStartSeconds": round(cold_start, 1),
        },
    )


def _learned(known: float | None, seen: float | None) -> float | None:
    if seen is None or not PLAUSIBLE[0] <= seen <= PLAUSIBLE[1]:
        return known  # NaN included
    return seen if known is None else known + LEARNING_WEIGHT * (seen - known)


def _demand(capacity: float | None, work: float | None, signals: Signals) -> float:
    """Offered work in replicas: by flow once capacity is learned, by used batch slots and KV cache before."""
    occupancy = finite(signals.occupancy, most=1e6)
    if capacity is None or work is None or signals.arrival_rate is None:
        return occupancy
    return min(finite(signals.arrival_rate) * work / capacity, 1e6)


def _backlog(state: ScalerState, signals: Signals, demand: float, cold_start: float) -> float:
    """Replicas that clear the queue within a cold start, where those that serve would not.

    While replicas start, the queue grows by itself: it asks for no more than what is on its way, and keeps that.
    """
    if not state.capacity or not state.work_per_request:
        return 0.0
    waiting = finite(signals.waiting) * state.work_per_request / state.capacity  # replica-seconds
    surplus = signals.ready - demand
    if waiting <= max(surplus, 0.0) * cold_start:
        return 0.0
    wanted = demand + waiting / cold_start
    return min(wanted, float(state.desired)) if state.awaiting else wanted


def _spread(values: Sequence[float]) -> float:
    """Standard deviation of the noise, from successive differences: a jump of the level is not noise.

    The median makes it robust; 1.4826 and sqrt(2) scale it to the deviation of normal noise.
    """
    steps = [abs(after - before) for before, after in pairwise(values)]
    if len(steps) < FEWEST_STEPS:
        return 0.0
    return 1.4826 * median(steps) / math.sqrt(2.0)


def _mean(points: tuple[Point, ...], now: float, seconds: float) -> float:
    recent = [value for _, value in takewhile(lambda point: now - point[0] <= seconds, reversed(points))]
    return fmean(recent) if recent else 0.0


def _inputs(signals: Signals) -> dict[str, float | int | None]:
    def rounded(value: float | None) -> float | None:
        return None if value is None else round(finite(value), 3)

    return {
        "arrivalRate": rounded(signals.arrival_rate),
        "running": rounded(signals.running),
        "waiting": rounded(signals.waiting),
        "kvUsage": rounded(signals.kv_usage),
        "occupancy": rounded(signals.occupancy),
        "slotsPerReplica": signals.slots,
        "readingAgeSeconds": rounded(signals.age),
        "podsRead": signals.known,
        "podsUnread": signals.unknown,
    }


def _words(
    scaling: Scaling,
    state: ScalerState,
    signals: Signals,
    mean: float,
    spread: float,
    flow: float,
    backlog: float,
    kv: float,
) -> str:
    if state.capacity and state.work_per_request and signals.arrival_rate is not None:
        seconds = state.work_per_request / state.capacity
        source = f"{finite(signals.arrival_rate):.1f} req/s x {seconds:.3g} s"
    else:
        source = "batch slots and KV cache in use"
    text = (
        f"demand {mean:.1f} ± {spread:.1f} replicas ({source}); "
        f"rho {scaling.demand.utilization:g}, z {scaling.demand.headroom:g} -> {flow:.1f}; "
        f"backlog {f'-> {backlog:.1f}' if backlog else 'none'}"
    )
    return f"{text}; KV cache -> {kv:.1f}" if kv > max(flow, backlog) else text
