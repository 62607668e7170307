"""The sweep of one target: what it finds on curves that are known."""

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from llmendpoint.simulate.span import Span
from llmendpoint.simulate.sweep import GRID, REFINEMENTS, Sweep, sweep

Curve = Callable[[float], float]


def swept(span: Span, attainment: Curve, cost: Curve) -> Sweep:
    def run_all(targets: Sequence[float]) -> list[Any]:
        return [SimpleNamespace(gpu_hours=cost(at), ttft_attainment=attainment(at)) for at in targets]

    return sweep(span, 0.99, run_all)


@pytest.mark.parametrize("edge", [0.6, 3.0, 41.0, 200.0])
def test_the_largest_target_that_keeps_the_service_level_is_found_within_a_few_per_cent(edge: float) -> None:
    found = swept(Span(0.5, 256.0), lambda at: 1.0 if at <= edge else 0.9, lambda at: 100.0 / at)
    assert 0.96 * edge <= found.target <= edge
    assert len(found.runs) == GRID + REFINEMENTS
    assert [run.target for run in found.runs] == sorted(run.target for run in found.runs)


def test_a_target_that_costs_more_as_it_grows_is_found_too() -> None:
    found = swept(Span(1.0, 100.0), lambda at: 1.0 if at >= 37.0 else 0.5, lambda at: at)
    assert 37.0 <= found.target <= 1.05 * 37.0


def test_where_none_keeps_the_service_level_the_nearest_is_taken() -> None:
    found = swept(Span(0.5, 256.0), lambda at: 0.95 - 0.1 * abs(math.log(at / 20.0)), lambda at: 100.0 / at)
    assert found.target == pytest.approx(20.0, rel=0.1)
    assert max(run.attainment for run in found.runs) == found.result.ttft_attainment < 0.99


def test_whole_numbers_are_tried_once_each() -> None:
    found = swept(Span(1.0, 8.0, whole=True), lambda at: 1.0 if at >= 5 else 0.0, lambda at: at)
    assert found.target == 5.0
    assert len({run.target for run in found.runs}) == len(found.runs) <= 8


def test_a_span_of_one_value_is_one_run() -> None:
    assert len(swept(Span(4.0, 4.0), lambda _: 1.0, lambda at: at).runs) == 1


def test_a_span_is_cut_to_bounds() -> None:
    assert Span(1.0, 100.0).within(3.0, 8.0) == Span(3.0, 8.0)
    assert Span(1.0, 2.0).within(3.0, 8.0) == Span(3.0, 3.0)
