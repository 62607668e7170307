"""What charts have in common: the axis of time, panels above each other on it, and the look.

Colours are CSS variables of the page, such as ``var(--ready)``: its script puts their values in, those of the light or
of the dark look.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from llmendpoint.simulate.profiles import Floats

DAY_SECONDS = 86400.0
MOST_BYTES = 4
"""plotly.js reads whole numbers of so many bytes."""


@dataclass(frozen=True)
class Panel:
    """A chart on the common axis of time."""

    title: str
    unit: str
    height: int
    """Pixels."""
    axis: dict[str, Any]
    """Of its values, beside what all have."""
    traces: Sequence[go.Scatter]


def over_time(seconds: Floats, values: Any, **looks: Any) -> go.Scatter:
    """Values at times from the start of the trace.

    The axis is one of dates, on which the trace begins with day 1 of a year; dates are milliseconds.
    """
    return go.Scatter(x=_compact(_milliseconds(seconds), np.float64), y=_compact(values, np.float32), **looks)


def stacked(panels: Sequence[Panel], duration: float) -> go.Figure:
    """The panels from top to bottom on one axis of time.

    The page's script puts title and legend above each panel, and gives each its place below them.
    """
    figure = go.Figure(layout=look(panels))
    for number, panel in enumerate(panels, start=1):
        suffix = "" if number == 1 else str(number)
        figure.update_layout({f"yaxis{suffix}": value_axis(panel.unit) | {"fixedrange": True} | panel.axis})
        for trace in panel.traces:
            figure.add_trace(trace.update(yaxis=f"y{suffix}"))
    figure.update_layout(
        hovermode="x unified",
        hoversubplots="axis",
        xaxis=time_axis(duration) | {"anchor": f"y{len(panels)}" if len(panels) > 1 else "y"},
    )
    return figure


def _milliseconds(seconds: Any) -> Any:
    return np.round(np.multiply(seconds, 1000.0))


def _compact(values: Any, otherwise: type[np.floating[Any]]) -> NDArray[Any]:
    """The same numbers in fewer bytes: whole ones in the smallest type that holds them."""
    array = np.asarray(values, dtype=np.float64)
    if not len(array) or not np.array_equal(array, np.round(array)):
        return array.astype(otherwise)
    smallest = np.result_type(*(np.min_scalar_type(int(end)) for end in (array.min(), array.max())))
    return array.astype(smallest if smallest.itemsize <= MOST_BYTES else otherwise)


def time_axis(duration: float) -> dict[str, Any]:
    """Clock time since the start, and days where there are any."""
    days = "\nday %-j" if duration > DAY_SECONDS else ""
    return _AXIS | {
        "type": "date",
        "range": [0, _milliseconds(duration)],
        "title": {"text": "time since the start of the trace, h:min", "standoff": 10},
        "tickformat": f"%H:%M{days}",
        "tickformatstops": [{"dtickrange": [None, 59_999], "value": f"%H:%M:%S{days}"}],
        "hoverformat": "day %-j, %H:%M:%S" if days else "%H:%M:%S",
        "showspikes": True, "spikemode": "across", "spikethickness": 1, "spikecolor": "var(--muted)",
        "spikedash": "solid", "spikesnap": "hovered data",
    }  # fmt: skip


def value_axis(title: str) -> dict[str, Any]:
    """An axis with a unit."""
    return _AXIS | {"title": {"text": title, "standoff": 6}, "rangemode": "tozero", "nticks": 5, "automargin": False}


def look(panels: Sequence[Panel]) -> dict[str, Any]:
    """Layout of any chart."""
    return {
        "template": "none",
        "meta": {"panels": [{"title": panel.title, "height": panel.height} for panel in panels]},
        "margin": {"l": 58, "r": 14, "t": 0, "b": 58},
        "font": {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": 12,
                 "color": "var(--ink)"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hoverlabel": {"bgcolor": "var(--card)", "bordercolor": "var(--line)", "align": "left",
                       "font": {"color": "var(--ink)", "size": 12}},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "var(--muted)", "activecolor": "var(--accent)"},
    }  # fmt: skip


_AXIS: dict[str, Any] = {
    "gridcolor": "var(--line)", "zerolinecolor": "var(--line)", "linecolor": "var(--line)", "tickcolor": "var(--line)",
    "tickfont": {"color": "var(--muted)", "size": 11},
}  # fmt: skip
