"""The report of a comparison: what is in its table and in its charts."""

import math
from dataclasses import replace
from typing import Any

import pytest

from llmendpoint.report.comparison import comparison_report, courses
from llmendpoint.report.frontier import frontier, marks
from llmendpoint.report.units import share
from support.replays import compared


def points() -> dict[str, Any]:
    return {trace.name: trace for trace in frontier(compared()).data if trace.mode == "markers+text"}


def test_each_policy_is_where_its_cost_and_its_misses_put_it() -> None:
    drawn = points()
    assert drawn.keys() == compared().results.keys()
    for name, entry in compared().results.items():
        assert drawn[name].x == (entry.result.gpu_hours,)
        missed = 1.0 - entry.result.ttft_attainment
        assert drawn[name].y[0] == pytest.approx(max(missed, 0.5 / entry.result.requests))


def test_all_points_are_within_the_axes() -> None:
    figure = frontier(compared())
    bottom, top = figure.layout.yaxis.range
    left, right = figure.layout.xaxis.range
    for point in points().values():
        assert left < math.log10(point.x[0]) < right
        assert top < math.log10(point.y[0]) < bottom


def test_no_two_policies_look_the_same() -> None:
    looks = [(mark.symbol, mark.colour) for mark in marks(compared()).values()]
    assert len(set(looks)) == len(looks)


def test_a_sweep_on_a_part_of_the_trace_is_brought_to_the_length_of_the_rest() -> None:
    def line(choose_on: float) -> Any:
        figure = frontier(replace(compared(), choose_on=choose_on))
        return next(trace for trace in figure.data if trace.mode == "lines+markers").x

    assert line(0.25) == pytest.approx([3 * hours for hours in line(0.0)])


def test_the_table_has_the_figures_in_the_order_of_the_ranking() -> None:
    report = comparison_report(compared(), endpoint="llama", gpu_hour_price=2.0)
    places = [report.index(f'<th scope="row">{name}</th>') for name, _ in compared().ranked]
    assert places == sorted(places)
    for entry in compared().results.values():
        assert share(entry.result.ttft_attainment) in report
        assert f"{2 * entry.result.gpu_hours:,.2f}" in report


def test_courses_are_one_panel_per_policy() -> None:
    panels = courses(compared()).layout.meta["panels"]
    assert [panel["title"].partition(":")[0] for panel in panels] == [name for name, _ in compared().ranked]
