"""The cheapest value of one target that keeps the service level.

Cost and attainment usually go one way as a target grows, but not always. So a coarse grid of equal ratios comes first,
then bisection between the best value so far and the neighbour that promises more: about twelve replays.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from llmendpoint.simulate.results import Result
from llmendpoint.simulate.span import Span

GRID = 6
REFINEMENTS = 6


@dataclass(frozen=True)
class Run:
    """One replay of a sweep."""

    target: float
    gpu_hours: float
    attainment: float


@dataclass(frozen=True)
class Sweep:
    """What a sweep came to."""

    target: float
    result: Result
    runs: Sequence[Run]
    """All of them, by target."""


def sweep(span: Span, slo_attainment: float, run_all: Callable[[Sequence[float]], Sequence[Result]]) -> Sweep:
    """Find the cheapest run that reaches the attainment; where none does, the one that comes nearest.

    Args:
        run_all: replays with each of some values.
    """
    results = dict(zip(span.grid(GRID), run_all(span.grid(GRID)), strict=True))
    runs = {target: _run(target, result) for target, result in results.items()}
    best = max(runs, key=lambda target: merit(runs[target], slo_attainment))
    result = results[best]
    for _ in range(REFINEMENTS):
        target = _next(span, slo_attainment, _by_target(runs), runs[best])
        if target is None:
            break
        (tried,) = run_all([target])
        runs[target] = _run(target, tried)
        if merit(runs[target], slo_attainment) > merit(runs[best], slo_attainment):
            best, result = target, tried
    return Sweep(best, result, _by_target(runs))


def _run(target: float, result: Result) -> Run:
    return Run(target, result.gpu_hours, result.ttft_attainment)


def _by_target(runs: Mapping[float, Run]) -> list[Run]:
    return [runs[target] for target in sorted(runs)]


class Outcome(Protocol):
    """What a choice between runs looks at."""

    @property
    def gpu_hours(self) -> float: ...  # noqa: D102 - the name says it

    @property
    def attainment(self) -> float: ...  # noqa: D102


def merit(run: Outcome, slo_attainment: float) -> tuple[bool, float, float]:
    """Larger is better: whether it keeps the service level, then what it costs, or how near it comes."""
    if run.attainment >= slo_attainment:
        return True, -run.gpu_hours, run.attainment
    return False, run.attainment, -run.gpu_hours


def _next(span: Span, slo_attainment: float, runs: Sequence[Run], best: Run) -> float | None:
    """The value between the best run and its more promising neighbour; None where there is none left to try.

    Next to a run that keeps the service level, a cheaper one promises more, the better its attainment the more; next to
    one that does not, the one with the better merit.
    """
    at = runs.index(best)
    neighbours = [*runs[max(at - 1, 0) : at], *runs[at + 1 : at + 2]]
    tried = {run.target for run in runs}
    open_ = [run for run in neighbours if span.between(run.target, best.target) not in tried]
    if not open_:
        return None
    if best.attainment >= slo_attainment:
        chosen = max(open_, key=lambda run: (run.gpu_hours < best.gpu_hours, run.attainment))
    else:
        chosen = max(open_, key=lambda run: merit(run, slo_attainment))
    return span.between(chosen.target, best.target)
