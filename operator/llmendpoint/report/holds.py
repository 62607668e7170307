"""When a rule, or the lack of metrics, kept the scaler from what its policy wanted."""

from collections.abc import Sequence
from dataclasses import dataclass

from llmendpoint.scaling.decision import Decision, Outcome
from llmendpoint.simulate.results import Moment


@dataclass(frozen=True)
class Hold:
    """One rule in force without a break. Times are seconds from the start of the trace."""

    rule: str
    """As the decision names it, or the reason where nothing was known to decide on."""
    start: float
    end: float


def holds(moments: Sequence[Moment], end: float) -> list[Hold]:
    """The holds of a replay, one after another.

    A moment is noted whenever the rule changes, so a rule holds from its moment to the next.
    """
    found: list[Hold] = []
    ends = [*(moment.time for moment in moments[1:]), end]
    for moment, until in zip(moments, ends, strict=False):
        rule = _rule(moment.decision)
        if rule is None:
            continue
        if found and found[-1].rule == rule and found[-1].end == moment.time:
            found[-1] = Hold(rule, found[-1].start, until)
        else:
            found.append(Hold(rule, moment.time, until))
    return found


def _rule(decision: Decision | None) -> str | None:
    if decision is None:
        return None
    return str(decision.reason) if decision.reason == Outcome.METRICS_UNKNOWN else decision.held_by
