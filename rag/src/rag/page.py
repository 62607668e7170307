"""An answer for a terminal: the text, its sources, and where the time went."""

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.markdown import Markdown
from rich.panel import Panel
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from rag.citation import cited
from rag.models import Answer, Timings

_BAR = 24
# All of C0 but tab and newline, and C1.
_CONTROLS = dict.fromkeys((*range(9), *range(11, 32), *range(127, 160)))
_STEPS = ("self_query", "expansion", "retrieval", "rerank", "generation")


class Terminal(Console):
    """Prints no control character that it is given: a document's title, for example, may have some to steer it."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """What is printed, in segments."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(segment.text.translate(_CONTROLS), segment.style)


def page(query: str, answer: Answer) -> RenderableType:
    """All of an answer."""
    parts: list[RenderableType] = [Panel(Markdown(answer.answer), title=Text(query, style="bold"), title_align="left")]
    if answer.sources:
        parts += [Text("Sources", "dim"), _sources(answer), Text()]
    parts += [Text("Time", "dim"), _steps(answer.timings)]
    parts += [Text(f"! {sentence}", style="yellow") for sentence in answer.degraded]
    return Group(*parts)


def _sources(answer: Answer) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(overflow="fold", ratio=1)
    table.add_column()
    table.add_column(justify="right")
    named = set(cited(answer.answer))
    for source in answer.sources:
        style = "bold" if source.id in named else "dim"
        title = Text(source.title, style).append(f"\n{source.url}", "dim not bold")
        origin = Text(source.author or "", style).append(f"\n{source.category}", "dim not bold")
        table.add_row(Text(f"[{source.id}]", style), title, origin, Text(f"{source.score:.3f}", style))
    return table


def _steps(timings: Timings) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name in _STEPS:
        seconds = getattr(timings, name)
        bar = "█" * round(_BAR * seconds / timings.total) if timings.total else ""
        table.add_row(name.replace("_", "-"), f"{seconds:7.3f} s", Text(bar, style="cyan"))
    table.add_row("total", f"{timings.total:7.3f} s", "")
    return table
