"""A comparison as JSON and as a table: what keeps the service level first, by its cost."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from llmendpoint.cli import simulation_output

if TYPE_CHECKING:
    from llmendpoint.simulate.compare import Comparison, Entry

OWN = "demand"
# What nobody can run, and what does not scale.
YARDSTICKS = frozenset({"clairvoyant", "static"})
WIDE_COLUMNS = 100
"""Below, what is worth least is left out."""
ROOMY_COLUMNS = 120
"""From here on there is room between the columns."""


def figures(comparison: "Comparison") -> dict[str, Any]:
    """One object: ``policies`` by name, and what is the same for all of them."""
    common = {name: value for name, value in vars(comparison).items() if name != "results"}
    return {**common, "policies": {name: _figures(entry) for name, entry in comparison.results.items()}}


def _figures(entry: "Entry") -> dict[str, Any]:
    rest = {name: value for name, value in vars(entry).items() if name not in {"result", "runs"}}
    return {**simulation_output.figures(entry.result), **rest, "runs": [vars(run) for run in entry.runs]}


def print_table(endpoint: str, comparison: "Comparison") -> None:
    """Print policies that keep the service level, cheapest first, then the others, best attainment first."""
    console = Console()
    wide = console.width >= WIDE_COLUMNS
    table = Table(
        title=_title(endpoint, comparison), caption=_caption(comparison), title_justify="left",
        caption_justify="left", title_style="", caption_style="dim", box=box.SIMPLE_HEAD, show_edge=False,
        padding=(0, 1 if console.width >= ROOMY_COLUMNS else 0), collapse_padding=True,
    )  # fmt: skip
    table.add_column("policy", no_wrap=True)
    for heading in _headings(wide=wide):
        table.add_column(heading, justify="right", no_wrap=True)
    for reached in (True, False):
        for name, entry in comparison.ranked:
            if entry.reached is reached:
                table.add_row(*_row(name, entry, comparison, wide=wide), style=_style(name))
        table.add_section()
    console.print(table, highlight=False)


def _title(endpoint: str, comparison: "Comparison") -> str:
    tuned = any(entry.tuned for entry in comparison.results.values())
    requests = next(iter(comparison.results.values())).result.requests
    share = f" on the first {100 * comparison.choose_on:g} % of the trace" if tuned and comparison.choose_on else ""
    return (
        f"{endpoint} on {comparison.trace}\n"
        f"{requests:,} requests in {comparison.seconds / 3600:.1f} h, {comparison.engine_profile}, cold start "
        f"{comparison.cold_start:g} s, seed {comparison.seed}\n"
        f"targets {f'tuned{share}' if tuned else 'as documented'}"
    )


def _caption(comparison: "Comparison") -> str:
    return (
        f"Service level: first token within {comparison.slo_ttft:g} s + 1.5 x own prefill for "
        f"{100 * comparison.slo_attainment:g} % of the requests.\n"
        f"No policy can keep it for less than {comparison.lower_bound:.1f} GPU-hours."
    )


def _headings(*, wide: bool) -> Sequence[str]:
    ttft = ("TTFT p50", "p95", "p99") if wide else ("TTFT p95",)
    most = ("most",) if wide else ()
    return ("target", "GPU-hours", f"vs {OWN}", "attainment", *ttft, "out", "in", *most)


def _row(name: str, entry: "Entry", comparison: "Comparison", *, wide: bool) -> Sequence[str | Text]:
    result = entry.result
    times = (result.ttft_p50, result.ttft_p95, result.ttft_p99) if wide else (result.ttft_p95,)
    most = (str(result.max_replicas_seen),) if wide else ()
    return (
        name,
        "" if entry.target is None else f"{entry.target:g}",
        f"{result.gpu_hours:.1f}",
        f"{result.gpu_hours / comparison.results[OWN].result.gpu_hours:.2f} x",
        Text(f"{result.ttft_attainment:.2%}", style="" if entry.reached else "red"),
        *(_seconds(value) for value in times),
        str(result.scale_outs),
        str(result.scale_ins),
        *most,
    )


def _style(name: str) -> str:
    if name == OWN:
        return "bold"
    return "dim" if name in YARDSTICKS else ""


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"
