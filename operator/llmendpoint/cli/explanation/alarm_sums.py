"""The sums of TargetTracking and Step, redone from their readings and terms."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llmendpoint.api.status import DecisionRecord
from llmendpoint.cli.explanation.demand_sums import serving_of
from llmendpoint.cli.explanation.sums import DIGIT, Sum, checked, number, rounded_up, said
from llmendpoint.scaling.step import adjusted
from llmendpoint.scaling.target_tracking import LAGGING, LOW_SHARE, POINTS_ABOVE, POINTS_BELOW, UNIT

Values = Mapping[str, Any]
GROWS_BY_ITSELF = LAGGING | {"ConcurrentRequestsPerReplica"}


def tracking_sums(decision: DecisionRecord) -> Iterator[Sum]:
    """What each target asks for, and what they come to."""
    votes = _entries(decision.terms.get("votes"))
    for target, vote in zip(_entries(decision.inputs.get("targets")), votes, strict=False):
        yield _vote(decision, target, vote)
    yield _together(decision, votes)


def _vote(decision: DecisionRecord, target: Values, vote: Values) -> Sum:
    kind = str(target.get("type", "target"))
    total, value = number(target, "total"), number(target, "target")
    wants = round(number(vote, "wants") or 0.0)
    alarm = _alarm(vote)
    formula = "total over the replicas / target, rounded up"
    if total is None or not value:
        return checked(kind, formula, "no whole period was measured yet", float(decision.current), wants, note=alarm)
    whole, agrees = rounded_up(total / value, wants, DIGIT / value + DIGIT)
    numbers = f"ceil({said(total)} {UNIT.get(kind, '')} / {said(value)})"
    capped = min(whole, decision.current)
    if not agrees and wants == capped and kind in GROWS_BY_ITSELF and decision.inputs.get("awaitingReplicas", True):
        numbers = f"{numbers} = {whole}, no more than the {decision.current} that are ordered while replicas start"
        whole, agrees = capped, True
    return Sum(name=kind, formula=formula, numbers=numbers, result=whole, recorded=wants, agrees=agrees, note=alarm)


def _alarm(points: Values) -> str:
    above, below = (round(number(points, name) or 0.0) for name in ("pointsAbove", "pointsBelow"))
    if above >= POINTS_ABOVE:
        return f"high alarm: above the target for {above} periods in a row ({POINTS_ABOVE} are needed)"
    if below >= POINTS_BELOW:
        return f"low alarm: below {LOW_SHARE:g} x target for {below} periods in a row ({POINTS_BELOW} are needed)"
    return (
        f"no alarm: above the target for {above} of {POINTS_ABOVE} periods in a row, below {LOW_SHARE:g} x target for "
        f"{below} of {POINTS_BELOW}"
    )


def _together(decision: DecisionRecord, votes: Sequence[Values]) -> Sum:
    current = decision.current
    wants = [round(number(vote, "wants") or 0.0) for vote in votes]
    high = [want for vote, want in zip(votes, wants, strict=True) if (number(vote, "pointsAbove") or 0) >= POINTS_ABOVE]
    low = [vote for vote in votes if (number(vote, "pointsBelow") or 0) >= POINTS_BELOW]
    if high:
        result, numbers = max(*high, current), f"a high alarm is on: max({_listed([*high, current])})"
    elif votes and len(low) == len(votes):
        result = min(max(wants), current)
        numbers = f"every low alarm is on: min(max({_listed(wants)}), {current})"
    else:
        result, numbers = current, f"neither: {current} as it is"
    return checked(
        "Want", "out if any high alarm is on, in only if every low alarm is", numbers, float(result), decision.raw
    )


def step_sums(decision: DecisionRecord) -> Iterator[Sum]:
    """The metric per replica, its distance from the target, and what the band there asks for."""
    targets = _entries(decision.inputs.get("targets"))
    target: Values = targets[0] if targets else {}
    total, value, serving = number(target, "total"), number(target, "target") or 0.0, serving_of(decision.inputs)
    breach = number(decision.terms, "breach") or 0.0
    if total is None:
        yield checked("Breach", "metric per replica - target", "no whole period was measured yet", 0.0, breach, unit="")
    else:
        each = total / max(serving, 1)
        unit = UNIT.get(str(target.get("type")), "")
        yield checked("Metric per replica", "total / serving", f"{said(total)} / {serving}", each, unit=unit)
        yield checked(
            "Breach", "metric per replica - target", f"{said(each)} - {said(value)}", each - value, breach, unit=unit
        )
    yield _step(decision, serving)


def _step(decision: DecisionRecord, serving: int) -> Sum:
    terms, current = decision.terms, decision.current
    adjustment, kind = number(terms, "adjustment"), terms.get("adjustmentType")
    formula = "the band's count once the alarm of its direction is on"
    if adjustment is None:
        return checked(
            "Want", formula, f"no step applies: {current} as it is", float(current), decision.raw, note=_alarm(terms)
        )
    if kind not in {"ChangeInCapacity", "PercentChangeInCapacity", "ExactCapacity"}:
        return checked("Want", formula, "the record names no kind of step", float(decision.raw), decision.raw)
    count = max(adjusted(kind, adjustment, serving), 0)
    numbers = f"{kind} {adjustment:g} of {serving} serving = {count}"
    out = count > current and (number(terms, "pointsAbove") or 0) >= POINTS_ABOVE
    in_ = count < current and (number(terms, "pointsBelow") or 0) >= POINTS_BELOW
    if not (out or in_ or count == current):
        numbers = f"{numbers}, and no alarm asks for it: {current} as it is"
        count = current
    return checked("Want", formula, numbers, float(count), decision.raw, note=_alarm(terms))


def _entries(value: Any) -> list[Values]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, Sequence) else []


def _listed(counts: Sequence[int]) -> str:
    return ", ".join(map(str, counts))
