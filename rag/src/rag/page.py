"""An answer for a terminal: the text, its sources, and where the time went."""

from rich.console import Group, RenderableType
from rich.markdown import Markdown
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rag.citation import cited
from rag.models import Answer, Timings

_BAR = 24
_STEPS = ("self_query", "expansion", "retrieval", "rerank", "generation")


def page(query: str, answer: Answer) -> RenderableType:
    """All of an answer."""
    parts: list[RenderableType] = [Panel(Markdown(answer.answer), title=Text(query, style="bold"), title_align="left")]
    if answer.sources:
        parts.append(_sources(answer))
    parts.append(_steps(answer.timings))
    parts += [Text(f"! {sentence}", style="yellow") for sentence in answer.degraded]
    return Group(*parts)


def _sources(answer: Answer) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", title="Sources", title_justify="left")
    for column in ("", "TITLE", "AUTHOR", "CATEGORY", "SCORE", "URL"):
        table.add_column(column, justify="right" if column == "SCORE" else "left")
    named = set(cited(answer.answer))
    for source in answer.sources:
        style = "bold" if source.id in named else "dim"
        cells = (
            f"[{source.id}]",
            source.title,
            source.author or "",
            source.category,
            f"{source.score:.3f}",
            source.url,
        )
        table.add_row(*(Text(cell, style=style) for cell in cells))
    return table


def _steps(timings: Timings) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, title="Time", title_justify="left")
    for name in _STEPS:
        seconds = getattr(timings, name)
        bar = "█" * round(_BAR * seconds / timings.total) if timings.total else ""
        table.add_row(name.replace("_", "-"), f"{seconds:7.3f} s", Text(bar, style="cyan"))
    table.add_row("total", f"{timings.total:7.3f} s", "")
    return table
