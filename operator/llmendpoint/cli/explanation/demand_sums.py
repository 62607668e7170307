"""The sum of the Demand policy (docs/scaler.md), redone from its readings and terms."""

from collections.abc import Iterator, Mapping
from typing import Any

from llmendpoint.api.status import DecisionRecord
from llmendpoint.cli.explanation.sums import DIGIT, Sum, checked, number, rounded_up, said, taken
from llmendpoint.scaling.backlog import CLEARED_IN_STARTS
from llmendpoint.scaling.demand import (
    JUMP,
    MEAN_SECONDS,
    PER_STUCK_SHARE,
    PREFILL_ALLOWANCE,
    RECENT_SECONDS,
)
from llmendpoint.scaling.staffing import DISPERSION, FULL, deviation, replicas_for

Values = Mapping[str, Any]


def demand_sums(decision: DecisionRecord) -> Iterator[Sum]:
    """Every step from the readings to the count that the policy asks for."""
    terms = decision.terms
    prefill, decode = number(terms, "prefillSecondsPerRequest"), number(terms, "decodeSecondsPerRequest")
    demand, flow = number(terms, "demandMean") or 0.0, number(terms, "flowReplicas") or 0.0
    bursts = number(terms, "burstReplicas") or 0.0
    if prefill is None or decode is None:
        yield from _by_slots(decision.inputs, demand, flow)
    else:
        yield from _by_flow(decision.inputs, terms, prefill, prefill + decode, demand, flow)
        yield _stuck(decision.inputs, terms)
        yield _backlog(decision, demand)
        yield _bursts(bursts)
    yield _want(decision, flow, bursts)


def _by_slots(inputs: Values, demand: float, flow: float) -> Iterator[Sum]:
    """Before the cost of a request is learned."""
    occupancy = number(inputs, "occupancy") or 0.0
    yield checked(
        "Demand",
        "batch slots or KV cache in use, the larger of each replica, summed",
        said(occupancy),
        occupancy,
        demand,
        note="what a request costs is not learned yet, or there is no rate yet",
    )
    yield checked("Flow", "demand / how full a replica may be", f"{said(demand)} / {FULL:g}", demand / FULL, flow)


def _by_flow(inputs: Values, terms: Values, prefill: float, cost: float, demand: float, flow: float) -> Iterator[Sum]:
    rate = number(inputs, "arrivalRate") or 0.0
    c = f"{said(cost)} s"
    yield checked(
        "Cost c of a request", "prefill + decode", f"{said(prefill)} s + {said(cost - prefill)} s", cost,
        unit="replica-s",
    )  # fmt: skip
    yield checked("Demand now", "arrival rate x cost", f"{said(rate)} req/s x {c}", rate * cost)
    steady = number(terms, "demandSteady")
    yield _mean(terms, steady, cost, demand)
    yield from _staffing(inputs, terms, prefill, cost, demand)
    factor, short = number(terms, "correctionFactor"), number(terms, "shortWaitReplicas")
    formula = "the larger of staffing x correction and the mean of two minutes"
    if factor is None or short is None or steady is None:
        yield taken("Flow", formula, flow)
    else:
        yield checked(
            "Flow",
            formula,
            f"max({said(short)} x {said(factor)}, {said(steady)})",
            max(short * factor, steady),
            flow,
        )


def _mean(terms: Values, steady: float | None, cost: float, demand: float) -> Sum:
    formula = (
        f"the larger of the mean of {MEAN_SECONDS:.0f} s and the mean of {RECENT_SECONDS:.0f} s less "
        f"{JUMP:g} deviations of its noise"
    )
    recent = number(terms, "demandRecent")
    if steady is None or recent is None:
        return taken("Demand D", formula, demand)
    noise = JUMP * deviation(steady, cost, RECENT_SECONDS)
    numbers = (
        f"max({said(steady)}, {said(recent)} - {JUMP:g} x sqrt({DISPERSION:g} x {said(steady)} x {said(cost)} / "
        f"{RECENT_SECONDS:.0f}))"
    )
    return checked("Demand D", formula, numbers, max(steady, recent - noise), demand)


def _staffing(inputs: Values, terms: Values, prefill: float, cost: float, demand: float) -> Iterator[Sum]:
    formula = f"D / 2 + sqrt(D^2 / 4 + {DISPERSION:g} D c ln(1 / errorBudget) / (2 T))"
    short = number(terms, "shortWaitReplicas")
    ttft, budget = number(inputs, "ttftSeconds"), number(inputs, "errorBudget")
    if ttft is None or budget is None or not 0.0 < budget < 1.0 or ttft <= 0.0:
        if short is not None:
            yield taken("Staffing", formula, short)
        return
    objective = ttft + PREFILL_ALLOWANCE * prefill
    yield checked(
        "Longest wait T",
        f"ttftSeconds + {PREFILL_ALLOWANCE:g} x prefill",
        f"{said(ttft)} s + {PREFILL_ALLOWANCE:g} x {said(prefill)} s",
        objective,
        unit="s",
    )
    d = said(demand)
    yield checked(
        "Staffing",
        formula,
        f"{d} / 2 + sqrt({d}^2 / 4 + {DISPERSION:g} x {d} x {said(cost)} x ln(1 / {said(budget)}) / "
        f"(2 x {said(objective)}))",
        replicas_for(demand, cost, objective, budget),
        short,
        note=f"{said(100.0 * (1.0 - budget))} % of requests wait no longer than T",
    )


def _stuck(inputs: Values, terms: Values) -> Sum:
    formula = f"lost + {PER_STUCK_SHARE:g} x lost^2 / serving"
    stuck, lost = number(terms, "stuckReplicas") or 0.0, number(terms, "lostReplicas")
    if lost is None:
        return taken("Stuck", formula, stuck)
    serving = max(serving_of(inputs), 1)
    return checked(
        "Stuck",
        formula,
        f"{said(lost)} + {PER_STUCK_SHARE:g} x {said(lost)}^2 / {serving}",
        lost * (1.0 + PER_STUCK_SHARE * lost / serving),
        stuck,
        note="capacity held up by requests much larger than the mean" if lost else "no replica is stuck",
    )


def _backlog(decision: DecisionRecord, demand: float) -> Sum:
    inputs, terms = decision.inputs, decision.terms
    formula = "D + the larger of what is short of the mean of two minutes / share of a start, and replicas taken up"
    backlog = number(terms, "backlogReplicas") or 0.0
    steady, taken_up = number(terms, "demandSteady"), number(terms, "takenReplicas")
    if steady is None or taken_up is None:
        return taken("Backlog", formula, backlog)
    serving = serving_of(inputs)
    piling = max(steady - serving, 0.0) / CLEARED_IN_STARTS
    words = said(taken_up)
    if inputs.get("awaitingReplicas") and taken_up > (room := max(decision.current - demand, 0.0)):
        words, taken_up = f"{words}, of which {said(room)} are on their way and no more are asked for", room
    numbers = f"max({said(steady)} - {serving}, 0) / {CLEARED_IN_STARTS:g} = {said(piling)}; taken up: {words}"
    if piling < DIGIT and taken_up < DIGIT and not backlog:
        return checked("Backlog", formula, f"neither: {numbers}", 0.0, backlog)
    more = max(piling, taken_up)
    return checked("Backlog", formula, f"{numbers}; {said(demand)} + {said(more)}", demand + more, backlog)


def _bursts(bursts: float) -> Sum:
    """What bursts need is learned over hours, and no sum of this decision's readings."""
    return Sum(
        name="Bursts",
        formula="the peak that bursts of the last hour reached again and again, where they cost too many late requests",
        numbers="as learned" if bursts else "none",
        result=bursts,
    )


def _want(decision: DecisionRecord, flow: float, bursts: float) -> Sum:
    stuck, backlog = (number(decision.terms, name) or 0.0 for name in ("stuckReplicas", "backlogReplicas"))
    exact = max(flow + stuck, backlog, bursts)
    whole, agrees = rounded_up(exact, decision.raw)
    return Sum(
        name="Want",
        formula="the largest of flow + stuck, backlog and bursts, rounded up",
        numbers=f"ceil(max({said(flow)} + {said(stuck)}, {said(backlog)}, {said(bursts)}))",
        result=whole,
        recorded=decision.raw,
        agrees=agrees,
    )


def serving_of(inputs: Values) -> int:
    """Replicas that served, read or not."""
    return round((number(inputs, "podsRead") or 0.0) + (number(inputs, "podsUnread") or 0.0))
