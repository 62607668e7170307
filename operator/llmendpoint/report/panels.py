"""The panels of a replay: replicas, requests, times to first token, decisions and cost over time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from llmendpoint.report.axes import Panel, over_time
from llmendpoint.report.holds import Hold
from llmendpoint.report.thinning import changes, envelope, evenly
from llmendpoint.report.units import clock, duration
from llmendpoint.simulate.profiles import Floats, Integers
from llmendpoint.simulate.results import Moment, Series, TtftBand

MOST_STRETCHES = 1500
MOST_STEPS = 6000
MANY_CHANGES = 200
RULES = {
    "ScaleOutCooldown": ("scale-out cooldown", "var(--out-cooldown)", "/"),
    "ScaleInCooldown": ("scale-in cooldown", "var(--in-cooldown)", "\\"),
    "HoldWindow": ("hold window", "var(--hold-window)", ""),
    "MetricsUnknown": ("metrics unknown", "var(--unknown)", "x"),
}
OTHER_RULE = ("another rule", "var(--other-rule)", ".")


def replicas(series: Series) -> Panel:
    """Demand against capacity: what was ordered, and what became of it."""
    phases = {
        "ready": series.ready, "starting": series.starting, "unschedulable": series.unschedulable,
        "draining": series.draining,
    }  # fmt: skip
    phases = {name: column for name, column in phases.items() if column.any()}
    kept = shown_at([series.ordered, *phases.values()], MOST_STEPS)
    filled = [
        over_time(
            series.time[kept], column[kept], name=name, stackgroup="replicas", hoverinfo="skip",
            line={"shape": "hv", "width": 0, "color": f"var(--{name})"}, fillcolor=f"var(--{name})",
            fillpattern=_hatched(f"var(--{name})", "/" if name == "unschedulable" else ""),
        )
        for name, column in phases.items()
    ]  # fmt: skip
    ordered = over_time(
        series.time[kept], series.ordered[kept], name="ordered", hoverinfo="skip",
        line={"shape": "hv", "width": 1.3, "color": "var(--ordered)"},
    )  # fmt: skip
    text = ", ".join(f"%{{customdata[{place}]:.0f}} {name}" for place, name in enumerate(phases, start=1))
    told = reading(
        series.time, series.demand, [series.ordered, *phases.values()],
        f"demand %{{y:.1f}}, ordered %{{customdata[0]:.0f}}:<br>{text}",
    )  # fmt: skip
    top = float(max(series.demand.max(), (series.ordered + series.draining).max(), 1.0))
    return Panel("Replicas", "replicas", 230, {"range": [0, 1.05 * top]},
                 [*filled, ordered, *_course(series.time, series.demand, "demand"), told])  # fmt: skip


def requests(series: Series) -> Panel:
    """Requests in the service and those that wait."""
    told = reading(series.time, series.in_flight, [series.waiting],
                       "%{y:,.0f} requests in flight, %{customdata[0]:,.0f} of them waiting")  # fmt: skip
    return Panel("Queue", "requests", 120, {},
                 [*_course(series.time, series.in_flight, "in flight"),
                  *_course(series.time, series.waiting, "waiting", fill="tozeroy"), told])  # fmt: skip


def ttft(band: TtftBand, slo_attainment: float) -> Panel:
    """Percentiles of the time to first token by time of arrival, on a logarithmic axis."""
    starts = band.start
    known = ~np.isnan(band.p50)
    ribbons = [
        over_time(
            *_ribbon(starts[known], starts[known] + band.seconds, low[known], high[known]),
            name=name, fill="toself", fillcolor=fill, line={"width": 0}, mode="lines", hoverinfo="skip",
        )
        for name, low, high, fill in (
            ("p50 to p95", band.p50, band.p95, "var(--ttft-fill)"),
            ("p95 to p99", band.p95, band.p99, "var(--ttft-tail)"),
        )
    ]  # fmt: skip
    edges = np.repeat(starts, 2)
    edges[1::2] += band.seconds
    median, objective = (
        over_time(edges, np.repeat(column, 2), name=name, hoverinfo="skip", connectgaps=joined, line=line)
        for column, name, line, joined in (
            (band.p50, "p50", {"width": 1.5, "color": "var(--ttft)"}, False),
            (band.objective, "objective (p95)", {"width": 1.3, "color": "var(--objective)"}, True),
        )
    )
    below = band.missed > (1.0 - slo_attainment) * band.requests
    missing = over_time(
        starts[below] + band.seconds / 2, band.p99[below], name=f"attainment below {100 * slo_attainment:g} %",
        mode="markers", hoverinfo="skip", marker={"symbol": "diamond", "size": 5, "color": "var(--bad)"},
    )  # fmt: skip
    told = reading(
        (starts + band.seconds / 2)[known], band.p50[known],
        [column[known] for column in (band.p95, band.p99, band.objective, band.missed, band.requests)],
        "TTFT p50 %{y:.2f} s, p95 %{customdata[0]:.2f} s, p99 %{customdata[1]:.2f} s;<br>objective "
        "%{customdata[2]:.2f} s, missed by %{customdata[3]:,.0f} of %{customdata[4]:,.0f} requests",
    )  # fmt: skip
    axis = {"type": "log", "dtick": 1, "tickformat": "~g"}
    return Panel(f"Time to first token, by {duration(band.seconds)} of arrivals", "seconds", 150, axis,
                 [*ribbons, median, objective, missing, told])  # fmt: skip


def decisions(moments: Sequence[Moment], held: Sequence[Hold], crashes: Sequence[float], series: Series) -> Panel:
    """Scale changes with their sentences, and the rules that held the count meanwhile."""
    steps = [moment.after - moment.before for moment in moments]
    top, bottom = max([1, *steps]) + 0.6, min([-1, *steps]) - 0.6
    shades = []
    for name, colour, pattern in dict.fromkeys([*RULES.values(), OTHER_RULE]):
        spans = [hold for hold in held if RULES.get(hold.rule, OTHER_RULE)[0] == name]
        if spans:
            starts, ends = (np.array([getattr(hold, side) for hold in spans]) for side in ("start", "end"))
            shades.append(
                over_time(
                    *_merlons(starts, ends, bottom, top),
                    name=name, fill="toself", fillcolor=colour, mode="lines", line={"width": 0}, hoverinfo="skip",
                    fillpattern=_hatched(colour, pattern),
                )
            )  # fmt: skip
    small = sum(step != 0 for step in steps) > MANY_CHANGES
    markers = [
        _markers([moment for moment in moments if (moment.after - moment.before) * sign > 0], name, symbol, small=small)
        for sign, name, symbol in ((1, "scale-out", "triangle-up"), (-1, "scale-in", "triangle-down"))
    ]
    if crashes:
        shades.append(
            over_time(
                np.array(crashes), np.zeros(len(crashes)), name="crash", mode="markers",
                marker={"symbol": "x", "size": 8, "color": "var(--bad)"},
                hovertemplate="the busiest replica crashes<extra></extra>",
            )
        )  # fmt: skip
    at = evenly(len(series.time), MOST_STRETCHES)
    told = reading(series.time[at], np.zeros(len(at)), [], "%{text}")
    told.text = _rules_at(series.time[at], held)
    return Panel("Decisions, and the rules that held the count", "change, replicas", 130,
                 {"range": [bottom, top], "zeroline": True, "zerolinecolor": "var(--muted)", "rangemode": "normal"},
                 [*shades, *markers, told])  # fmt: skip


def cost(series: Series, gpus: int, gpu_hour_price: float | None) -> Panel:
    """GPU-hours paid so far: of starting, ready and draining replicas."""
    paid = gpus * (series.ready + series.starting + series.draining)
    hours = np.concatenate(([paid[0] * series.time[0]], paid[:-1] * np.diff(series.time))).cumsum() / 3600.0
    at = evenly(len(hours), MOST_STRETCHES)
    line = over_time(
        series.time[at], hours[at], name="starting, ready and draining", fill="tozeroy",
        fillcolor="var(--cost-fill)", line={"width": 1.5, "color": "var(--cost)"},
        hovertemplate="%{y:,.1f} GPU-hours so far<extra></extra>",
    )  # fmt: skip
    if gpu_hour_price is not None:
        line.customdata = np.float32(hours[at] * gpu_hour_price)
        line.hovertemplate = (
            f"%{{y:,.1f}} GPU-hours so far, %{{customdata:,.2f}} at {gpu_hour_price:g} each<extra></extra>"
        )
    return Panel("GPU-hours paid so far", "GPU-hours", 100, {}, [line])


def shown_at(columns: Sequence[Floats], most: int) -> Integers:
    """Where step lines need a point; spread evenly where these were too many."""
    kept = changes(columns)
    return kept if len(kept) <= most else evenly(len(columns[0]), most)


def _course(times: Floats, values: Floats, name: str, fill: str | None = None) -> list[go.Scatter]:
    """A line; where it has more points than the eye can tell apart their mean, within a ribbon from least to most."""
    course = envelope(times, values, MOST_STRETCHES)
    colour = f"var(--{name.replace(' ', '-')}"
    line = over_time(
        course.starts, course.means, name=name, hoverinfo="skip", fill=fill, legendgroup=name,
        line={"width": 1.3, "color": f"{colour})"}, fillcolor=f"{colour}-fill)",
    )  # fmt: skip
    if np.array_equal(course.least, course.most):
        return [line]
    around = np.concatenate((course.starts, course.starts[::-1]))
    ribbon = over_time(
        around, np.concatenate((course.least, course.most[::-1])), legendgroup=name, showlegend=False,
        fill="toself", fillcolor=f"{colour}-fill)", mode="lines", line={"width": 0}, hoverinfo="skip",
    )  # fmt: skip
    return [ribbon, line]


def reading(
    time: Floats, y: Floats, columns: Sequence[Floats], template: str, most: int = MOST_STRETCHES
) -> go.Scatter:
    """An unseen line that says on hover what the seen ones show: these have points only where something changes."""
    at = evenly(len(time), most)
    data: dict[str, Any] = {}
    if columns:
        data["customdata"] = np.column_stack([column[at] for column in columns]).astype(np.float32)
    return over_time(
        time[at], y[at], mode="lines", line={"width": 0, "color": "rgba(0,0,0,0)"}, showlegend=False,
        hovertemplate=f"{template}<extra></extra>", **data,
    )  # fmt: skip


def _ribbon(starts: Floats, ends: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Rectangles of one trace, each an outline of its own."""
    gap = np.full(len(starts), np.nan)
    x = np.column_stack([starts, ends, ends, starts, gap]).ravel()
    return x, np.column_stack([low, low, high, high, gap]).ravel()


def _merlons(starts: Floats, ends: Floats, low: float, high: float) -> tuple[Floats, Floats]:
    """Rectangles on a common base as one outline."""
    return np.column_stack([starts, starts, ends, ends]).ravel(), np.tile([low, high, high, low], len(starts))


def _hatched(colour: str, shape: str) -> dict[str, Any]:
    """A pattern besides the colour."""
    return {"shape": shape, "bgcolor": colour, "fgcolor": "var(--card)", "size": 7, "solidity": 0.2}


def _markers(moments: Sequence[Moment], name: str, symbol: str, *, small: bool) -> go.Scatter:
    steps = np.array([moment.after - moment.before for moment in moments], dtype=np.float64)
    stems: dict[str, Any] = {} if small else {
        "error_y": {"type": "data", "symmetric": False, "array": np.zeros(len(steps)), "arrayminus": steps, "width": 0,
                    "thickness": 1, "color": f"var(--{name})"},
    }  # fmt: skip
    return over_time(
        np.array([moment.time for moment in moments]), steps, name=name, mode="markers",
        marker={"symbol": symbol, "size": 6 if small else 9, "color": f"var(--{name})"},
        # The sentences are in the table of changes, from where the page's script takes them: a week has many.
        meta={"sentences": name}, hovertemplate="<b>%{text}</b><extra></extra>", **stems,
    )  # fmt: skip


def _rules_at(times: Floats, held: Sequence[Hold]) -> list[str]:
    """What holds the count at each of the times, in words."""
    texts = ["no rule holds the count"] * len(times)
    for hold in held:
        name = RULES[hold.rule][0] if hold.rule in RULES else hold.rule
        for place in range(*np.searchsorted(times, (hold.start, hold.end))):
            texts[place] = f"{name} until {clock(hold.end)}"
    return texts
