"""The report of a comparison: the frontier, the table, and each policy's replicas against demand."""

import numpy as np
import plotly.graph_objects as go

from llmendpoint.report.axes import Panel, over_time, stacked
from llmendpoint.report.frontier import YARDSTICKS, frontier
from llmendpoint.report.page import page
from llmendpoint.report.panels import reading, shown_at
from llmendpoint.report.thinning import envelope
from llmendpoint.report.units import count, share
from llmendpoint.simulate.compare import DEMAND, Comparison, Entry
from llmendpoint.simulate.results import Series

STRETCHES = 700


def comparison_report(comparison: Comparison, *, endpoint: str, gpu_hour_price: float | None = None) -> str:
    """The HTML text.

    Args:
        endpoint: its name.
    """
    peers = [
        (name, entry)
        for name, entry in comparison.ranked
        if entry.reached and name != DEMAND and name not in YARDSTICKS
    ]
    return page(
        "comparison.html",
        {"frontier": frontier(comparison), "courses": courses(comparison)},
        comparison=comparison,
        own=comparison.results[DEMAND],
        best_peer=peers[0] if peers else None,
        endpoint=endpoint,
        gpu_hour_price=gpu_hour_price,
    )


def courses(comparison: Comparison) -> go.Figure:
    """One panel per policy, in the order of the table."""
    finest = max((entry.result.series for entry in comparison.results.values()), key=lambda series: len(series.time))
    panels = [_course(name, entry, finest) for name, entry in comparison.ranked]
    return stacked(panels, max(entry.result.simulated_seconds for entry in comparison.results.values()))


def _course(name: str, entry: Entry, finest: Series) -> Panel:
    """Demand is that of the series with the most points: a policy that is seldom called has few of its own."""
    series, result = entry.result.series, entry.result
    kept = shown_at([series.ready, series.starting], 2 * STRETCHES)
    filled = [
        over_time(
            np.append(0.0, series.time[kept]), np.append(column[0], column[kept]), name=phase,
            stackgroup="replicas", hoverinfo="skip", showlegend=False,
            line={"shape": "hv", "width": 0, "color": f"var(--{phase})"}, fillcolor=f"var(--{phase})",
        )
        for phase, column in (("ready", series.ready), ("starting", series.starting))
    ]  # fmt: skip
    course = envelope(finest.time, finest.demand, STRETCHES)
    demand = over_time(
        course.starts, course.means, name="demand", hoverinfo="skip", showlegend=False,
        line={"width": 1.1, "color": "var(--demand)"},
    )  # fmt: skip
    told = reading(
        series.time, series.ordered, [series.ready, series.starting, series.waiting],
        f"<b>{name}</b> %{{y:.0f}} ordered, %{{customdata[0]:.0f}} ready, %{{customdata[2]:,.0f}} waiting", STRETCHES,
    )  # fmt: skip
    title = f"{name}: {count(result.gpu_hours)} GPU-hours, {share(result.ttft_attainment)}"
    return Panel(title, "replicas", 92, {"nticks": 3}, [*filled, demand, told])
