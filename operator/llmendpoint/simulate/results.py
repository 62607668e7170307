"""What a replay came to: cost, times to first token, scale changes, and how all of it went over time."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmendpoint.scaling.decision import Decision
from llmendpoint.simulate.arrays import Array
from llmendpoint.simulate.batching import FINISHED, LOST, REFUSED
from llmendpoint.simulate.profiles import EngineProfile, Floats, Integers
from llmendpoint.simulate.traces import Trace

SLO_TTFT_SECONDS = 2.0
# A long prompt takes long to read on an idle replica too: the objective grows with that time.
PREFILL_ALLOWANCE = 1.5
# The shortest of these of which no more than MOST_SPANS make up the replay.
SPAN_SECONDS = (10.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 10800.0, 86400.0)
MOST_SPANS = 800


@dataclass(frozen=True)
class Moment:
    """One call of the policy that changed the count or gave another reason."""

    time: float
    before: int
    after: int
    sentence: str
    decision: Decision | None = None


class Row(NamedTuple):
    """The fleet and its load just after a call of the policy."""

    time: float
    ordered: int
    ready: int
    starting: int
    draining: int
    unschedulable: int
    in_flight: int
    waiting: int


@dataclass(frozen=True, eq=False)
class Series:
    """One value per call of the policy, taken just after it."""

    time: Floats
    """Seconds from the start of the trace."""
    ordered: Floats
    ready: Floats
    starting: Floats
    draining: Floats
    unschedulable: Floats
    in_flight: Floats
    waiting: Floats
    """Requests in no engine's batch: held at the proxy or queued in an engine."""
    arrivals: Floats
    """Requests that arrived since the call before."""
    demand: Floats
    """Replicas that the requests which arrived since the call before would keep busy, by the profile."""


@dataclass(frozen=True, eq=False)
class TtftBand:
    """Times to first token over time, in seconds: one value per span, by the time of arrival, NaN in an empty one."""

    seconds: float
    """Length of a span."""
    start: Floats
    p50: Floats
    p95: Floats
    p99: Floats
    objective: Floats
    """95th percentile of the requests' objectives, to hold the one of their times against."""
    requests: Floats
    missed: Floats
    """Requests that did not finish or missed their objective."""


@dataclass(frozen=True)
class Result:
    """Figures of one replay. Times are in seconds."""

    policy: str
    gpu_hours: float
    """Of starting, ready and draining replicas."""
    ttft_attainment: float
    """Share of all requests that finished and met their objective for the time to first token."""
    ttft_p50: float
    """Of all requests but the refused. One that got no token counts with the time that it waited."""
    ttft_p95: float
    ttft_p99: float
    tpot_p50: float
    """Time per output token after the first, of requests that finished."""
    tpot_p95: float
    scale_outs: int
    scale_ins: int
    requests: int
    unfinished: int
    """Requests that did not finish: still in flight at the end, lost in a crash, or refused."""
    lost: int
    refused: int
    """Requests whose prompt is larger than a replica's KV cache."""
    max_replicas_seen: int
    """Most replicas that were ready or starting."""
    simulated_seconds: float
    seed: int
    wall_seconds: float = field(compare=False)
    series: Series = field(compare=False, repr=False)
    ttft_band: TtftBand = field(compare=False, repr=False)
    moments: Sequence[Moment] = field(compare=False, repr=False)


@dataclass(frozen=True)
class Service:
    """What requests experienced."""

    attainment: float
    ttft: tuple[float, float, float]
    """50th, 95th and 99th percentile."""
    tpot: tuple[float, float]
    """50th and 95th percentile."""
    band: TtftBand
    unfinished: int
    lost: int
    refused: int


def series_of(rows: Sequence[Row], trace: Trace, profile: EngineProfile) -> Series:
    """The rows as columns, and what was offered between them."""
    columns = dict(zip(Row._fields, np.array(rows, dtype=np.float64).T, strict=True))
    ends = np.searchsorted(trace.t, columns["time"], side="right")
    work = np.cumsum(profile.replica_seconds(trace.input_tokens, trace.output_tokens))
    return Series(
        **columns,
        arrivals=np.diff(ends, prepend=0).astype(np.float64),
        demand=_growth(work, ends) / np.diff(columns["time"], prepend=0.0),
    )


def _growth(cumulative: Floats, ends: Integers) -> Floats:
    """By how much a cumulative sum grew from each place to the next, the first one from 0."""
    return np.diff(np.concatenate(([0.0], cumulative))[ends], prepend=0.0)


def ttft_objectives(requests: Array, profile: EngineProfile, slo_ttft: float) -> Floats:
    """The longest good time to first token of each request: the objective plus 1.5 times its own unloaded prefill."""
    prompt = requests["prompt"].astype(np.int64)
    return slo_ttft + PREFILL_ALLOWANCE * profile.unloaded_prefill_seconds(prompt)


def assess(requests: Array, profile: EngineProfile, slo_ttft: float, end: float) -> Service:
    """Judge the requests of a replay that was over at ``end``."""
    state = requests["state"]
    finished, refused = state == FINISHED, state == REFUSED
    ttft = requests["first_token"] - requests["arrived"]
    objective = ttft_objectives(requests, profile, slo_ttft)
    good = finished & (ttft <= objective)
    left_at = np.where(np.isnan(requests["finished"]), end, requests["finished"])
    waited = np.where(np.isnan(ttft), np.maximum(left_at - requests["arrived"], 0.0), ttft)
    several = requests[finished & (requests["output"] > 1)]
    tpot = (several["finished"] - several["first_token"]) / np.maximum(several["output"] - 1, 1)
    p50, p95, p99 = _percentiles(waited[~refused], (50, 95, 99))
    tpot50, tpot95 = _percentiles(tpot, (50, 95))
    return Service(
        attainment=float(good.mean()) if len(requests) else 1.0,
        ttft=(p50, p95, p99),
        tpot=(tpot50, tpot95),
        band=_band(requests["arrived"], np.where(refused, np.nan, waited), objective, good, end),
        unfinished=int((~finished).sum()),
        lost=int((state == LOST).sum()),
        refused=int(refused.sum()),
    )


def _band(arrived: Floats, waited: Floats, objective: Floats, good: NDArray[np.bool_], end: float) -> TtftBand:
    """Of requests in the order of their arrival; a wait that does not count is NaN."""
    seconds = next((span for span in SPAN_SECONDS if end <= MOST_SPANS * span), SPAN_SECONDS[-1])
    starts = seconds * np.arange(int(end / seconds) + 1, dtype=np.float64)
    edges = np.searchsorted(arrived, np.append(starts, math.inf))
    points = np.full((4, len(starts)), np.nan)
    for place, (first, last) in enumerate(itertools.pairwise(edges)):
        counted = ~np.isnan(waited[first:last])
        if counted.any():
            points[:3, place] = np.percentile(waited[first:last][counted], (50, 95, 99))
            points[3, place] = np.percentile(objective[first:last][counted], 95)
    p50, p95, p99, objectives = points
    missed = np.diff(np.concatenate(([0.0], np.cumsum(~good)))[edges])
    return TtftBand(seconds, starts, p50, p95, p99, objectives, np.diff(edges).astype(np.float64), missed)


def _percentiles(values: Floats, at: Sequence[int]) -> list[float]:
    """Zeros where there is nothing to take them of."""
    return [float(value) for value in np.percentile(values, at)] if len(values) else [0.0] * len(at)
