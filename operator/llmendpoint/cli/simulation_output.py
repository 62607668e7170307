"""One result as text: figures, their course over time in characters, and the last scale changes."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from llmendpoint.simulate.results import Moment, Result, Series

SHOWN_CHANGES = 8
CHART_COLUMNS = 56
BARS = " ▁▂▃▄▅▆▇█"


def figures(result: "Result") -> dict[str, Any]:
    """The result without its course over time."""
    return {name: value for name, value in vars(result).items() if name not in {"series", "ttft_band", "moments"}}


def print_table(title: str, result: "Result") -> None:
    """Print all of it."""
    console = Console()
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    for row in _rows(result):
        table.add_row(*row)
    console.print(table)
    console.print(_chart(result.series), highlight=False)
    for line in _changes([moment for moment in result.moments if moment.after != moment.before]):
        console.print(line, highlight=False)


def _rows(result: "Result") -> Iterator[tuple[str, str, str]]:
    yield "GPU-hours", f"{result.gpu_hours:.1f}", f"over {result.simulated_seconds / 3600:.1f} h"
    yield "TTFT attainment", f"{result.ttft_attainment:.2%}", "finished, and first token in time"
    yield (
        "TTFT p50, p95, p99",
        " ".join(f"{value:.2f} s" for value in (result.ttft_p50, result.ttft_p95, result.ttft_p99)),
        "time to first token",
    )
    yield (
        "TPOT p50, p95",
        " ".join(f"{1000 * value:.1f} ms" for value in (result.tpot_p50, result.tpot_p95)),
        "time per token after it",
    )
    lost = f", {result.lost} lost" if result.lost else ""
    refused = f", {result.refused} refused" if result.refused else ""
    yield "Requests", f"{result.requests:,}", f"{result.unfinished} unfinished{lost}{refused}"
    yield "Scale-outs, scale-ins", f"{result.scale_outs}, {result.scale_ins}", ""
    yield "Most replicas", f"{result.max_replicas_seen}", "ready or starting"
    yield "Seed", f"{result.seed}", f"replayed in {result.wall_seconds:.1f} s"


def _chart(series: "Series") -> str:
    """Means over equal spans of time, one character each, on a scale common to demand and replicas."""
    lines = {"demand": series.demand, "ready": series.ready, "queue": series.waiting}
    spans = min(CHART_COLUMNS, len(series.time))
    means = {
        name: [float(values[at * len(values) // spans : (at + 1) * len(values) // spans].mean()) for at in range(spans)]
        for name, values in lines.items()
    }
    replicas = max(*means["demand"], *means["ready"], 1.0)
    tops = {"demand": replicas, "ready": replicas, "queue": max(*means["queue"], 1.0)}
    return "\n".join(
        f"{name:>6} {''.join(_bar(value / tops[name]) for value in values)} up to {max(values):.1f}"
        for name, values in means.items()
    )


def _bar(share: float) -> str:
    return BARS[min(round(share * (len(BARS) - 1)), len(BARS) - 1)]


def _changes(changes: Sequence["Moment"]) -> Iterator[str]:
    if not changes:
        yield "No scale change."
        return
    yield f"The last {min(SHOWN_CHANGES, len(changes))} of {len(changes)} scale changes:"
    for moment in changes[-SHOWN_CHANGES:]:
        hours, seconds = divmod(round(moment.time), 3600)
        yield f"{hours:4d}:{seconds // 60:02d}:{seconds % 60:02d}  {moment.sentence}"
