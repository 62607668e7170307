"""GPU-hours against attainment, one point per policy and one line per sweep."""

import html
import math
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from llmendpoint.report.axes import Panel, look, value_axis
from llmendpoint.report.units import count, seconds, share
from llmendpoint.simulate.compare import DEMAND, Comparison, Entry

PALETTE = 8
"""Colours of the page for policies; more of these get other symbols."""
TICKS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999, 0.99999)
"""Shares; attainment is drawn on a scale on which each halving of the misses takes the same room."""

CROWDED = 0.75
"""Beyond this part of the width a name is written to the left of its mark, where there is room for it."""


@dataclass(frozen=True)
class Mark:
    """How a policy's point looks."""

    symbol: str
    colour: str
    size: int = 11


OUR_MARK = Mark("star", "var(--demand-policy)", 19)
YARDSTICKS = {"clairvoyant": Mark("diamond-open", "var(--ink)", 13), "static": Mark("x", "var(--muted)")}


def frontier(comparison: Comparison) -> go.Figure:
    """The chart."""
    entries = comparison.results.values()
    least_missed = 0.5 / max(entry.result.requests for entry in entries)
    costs = [*(entry.result.gpu_hours for entry in entries), comparison.lower_bound]
    low, high = 0.85 * min(costs), 1.2 * max(costs)
    crowded = low ** (1.0 - CROWDED) * high**CROWDED
    traces = []
    for name, mark in marks(comparison).items():
        traces.extend(_policy(name, mark, comparison, least_missed, crowded))
    slo = 1.0 - comparison.slo_attainment
    missed = [1.0 - entry.result.ttft_attainment for entry in entries]
    bottom, top = min(1.3 * max(*missed, slo), 1.05), max(0.7 * min(*missed, slo), 0.8 * least_missed)
    ticks = {max(1.0 - tick, least_missed): f"{100 * tick:.10g} %" for tick in (0.0, *TICKS, 1.0)}
    traces += [
        go.Scatter(
            x=[low, high], y=[slo, slo], mode="lines", name=f"objective, {100 * comparison.slo_attainment:g} %",
            line={"dash": "dash", "width": 1.5, "color": "var(--objective)"}, hoverinfo="skip",
        ),
        go.Scatter(
            x=[comparison.lower_bound] * 2, y=[bottom, top], mode="lines", name="lower bound",
            line={"dash": "dot", "width": 1.5, "color": "var(--muted)"},
            hovertemplate=f"lower bound: {count(comparison.lower_bound)} GPU-hours<extra></extra>",
        ),
    ]  # fmt: skip
    panel = Panel("GPU-hours against attainment", "attainment of the TTFT objective", 460, {}, traces)
    axis = value_axis(panel.unit)
    figure = go.Figure(traces, look([panel]))
    figure.update_layout(
        hovermode="closest",
        margin={"l": 74},
        xaxis=axis | {
            "title": {"text": "GPU-hours, logarithmic", "standoff": 10}, "type": "log", "rangemode": "normal",
            "range": [math.log10(low), math.log10(high)], "tickvals": _round_numbers(low, high), "tickformat": ",~g",
        },
        yaxis=axis | {
            "type": "log", "range": [math.log10(bottom), math.log10(top)], "rangemode": "normal",
            "tickvals": list(ticks), "ticktext": list(ticks.values()),
        },
    )  # fmt: skip
    return figure


def marks(comparison: Comparison) -> dict[str, Mark]:
    """Looks by policy, the yardsticks and the operator's own last, so that they are drawn above the others."""
    peers = [name for name in comparison.results if name != DEMAND and name not in YARDSTICKS]
    looks = {
        name: Mark(("circle", "square", "triangle-up")[place // PALETTE], f"var(--policy-{place % PALETTE})")
        for place, name in enumerate(peers)
    }
    return looks | YARDSTICKS | {DEMAND: OUR_MARK}


def _policy(name: str, mark: Mark, comparison: Comparison, least_missed: float, crowded: float) -> list[go.Scatter]:
    entry = comparison.results[name]
    traces = []
    if entry.runs:
        # Where another part of the trace chose the target, its GPU-hours are of another length of time.
        longer = (1.0 - comparison.choose_on) / comparison.choose_on if comparison.choose_on else 1.0
        traces.append(
            go.Scatter(
                x=[run.gpu_hours * longer for run in entry.runs],
                y=[max(1.0 - run.attainment, least_missed) for run in entry.runs],
                mode="lines+markers", legendgroup=name, showlegend=False, opacity=0.55,
                line={"width": 2 if mark is OUR_MARK else 1, "color": mark.colour},
                marker={"size": 4, "color": mark.colour}, text=[_run(name, run, entry) for run in entry.runs],
                hovertemplate="%{text}<extra></extra>",
            )
        )  # fmt: skip
    point: dict[str, Any] = {"symbol": mark.symbol, "size": mark.size, "color": mark.colour}
    if not mark.symbol.endswith("-open"):
        point["line"] = {"width": 1, "color": "var(--card)"}
    traces.append(
        go.Scatter(
            x=[entry.result.gpu_hours], y=[max(1.0 - entry.result.ttft_attainment, least_missed)], name=name,
            mode="markers+text", legendgroup=name, marker=point, text=[name],
            textposition="middle left" if entry.result.gpu_hours > crowded else "top center", cliponaxis=False,
            textfont={"size": 11, "color": mark.colour}, customdata=[[_told(name, entry)]],
            hovertemplate="%{customdata[0]}<extra></extra>",
        )
    )  # fmt: skip
    return traces


def _told(name: str, entry: Entry) -> str:
    result = entry.result
    return "<br>".join([
        f"<b>{html.escape(name)}</b>, {'tuned' if entry.tuned else 'as documented'}{_target(entry.target, entry)}",
        f"{count(result.gpu_hours)} GPU-hours, attainment {share(result.ttft_attainment)}",
        f"TTFT p50 {seconds(result.ttft_p50)}, p95 {seconds(result.ttft_p95)}, p99 {seconds(result.ttft_p99)}",
        f"{result.scale_outs} scale-outs, {result.scale_ins} scale-ins, at most {result.max_replicas_seen} replicas",
    ])  # fmt: skip


def _run(name: str, run: Any, entry: Entry) -> str:
    return (
        f"{html.escape(name)}{_target(run.target, entry)}<br>{count(run.gpu_hours)} GPU-hours, "
        f"attainment {share(run.attainment)}"
    )


def _target(value: float | None, entry: Entry) -> str:
    return "" if value is None else f": {value:g} {html.escape(entry.target_name)}"


def _round_numbers(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between two numbers."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    numbers = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    return [number for number in numbers if low <= number <= high]
