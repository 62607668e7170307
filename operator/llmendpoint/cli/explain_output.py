"""A decision at a terminal: readings, sum, rules, result and the sentence, in the order in which they were used."""

from collections.abc import Iterator

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from llmendpoint.cli.explanation.explanation import Explanation, Rule
from llmendpoint.cli.explanation.sums import Reading, Sum, said
from llmendpoint.cli.terminal import MARK, STYLE, both

INDENT = 2


def print_explanation(console: Console, found: Explanation, now: float) -> None:
    """Print a decision and whether it can be followed."""
    console.print(
        Text.assemble(
            (found.name, "bold"), (f" in {found.namespace}  ", "dim"), (_outcome(found), "bold"),
            (f"  {both(found.time, now)}", "dim"),
        )
    )  # fmt: skip
    if found.readings:
        _heading(console, "Readings and settings")
        console.print(_readings(found.readings))
    if found.sums:
        _heading(console, f"Sum, by policy {found.policy}" if found.policy else "Sum")
        for place, step in enumerate(found.sums, 1):
            console.print(_sum(place, step))
    _heading(console, "Rules")
    console.print(_rules(found, now))
    console.print()
    if found.sums or found.disagreements:
        console.print(_verdict(found))
    for note in found.notes:
        console.print(Text(f"Note: {note}.", style=STYLE["busy"]))
    _heading(console, "Result")
    console.print(_block(Text(_result(found, now), style="bold")))
    console.print(_block(found.sentence))


def _heading(console: Console, words: str) -> None:
    console.print()
    console.print(Text(words, style="bold underline"))


def _outcome(found: Explanation) -> str:
    return f"{found.reason}: {_change(found)}"


def _change(found: Explanation) -> str:
    return f"stay at {found.desired}" if found.desired == found.current else f"{found.current} -> {found.desired}"


def _readings(readings: list[Reading]) -> Table:
    grid = _grid(3)
    for reading in readings:
        value = reading.value
        words = ("yes" if value else "no") if isinstance(value, bool) else value
        shown = said(words) if isinstance(words, int | float) else words
        grid.add_row("", reading.meaning, Text(f"{shown} {reading.unit}".rstrip(), style="bold"))
    return grid


def _sum(place: int, step: Sum) -> Group:
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(width=INDENT)
    grid.add_column(ratio=1, overflow="fold")
    grid.add_column(justify="right", no_wrap=True)
    result = Text(f"= {said(step.result)} {step.unit}".rstrip(), style="bold")
    if not step.agrees and step.recorded is not None:
        result.append(f"\n{MARK['bad']} recorded {said(step.recorded)}", style=STYLE["bad"])
    grid.add_row("", step.numbers, result)
    name = Text.assemble((step.name, "bold"), (f"  {step.formula}", "dim"))
    note = [_block(Text(step.note, style="italic dim"))] if step.note else []
    return Group(_block(name, str(place)), grid, *note)


def _rules(found: Explanation, now: float) -> Table:
    grid = _grid(4)
    grid.add_row("", f"{found.policy or 'the scaler'} wants", Text(str(found.raw), style="bold"), "")
    for rule in found.rules:
        grid.add_row(
            "", Text(rule.name, style="bold"), Text(f"{rule.before} -> {rule.after}", style="bold"), _why(rule, now)
        )
    if not found.rules:
        grid.add_row("", "and no rule changes it", "", "")
    return grid


def _why(rule: Rule, now: float) -> str:
    end = f"; until {both(rule.until, now)}" if rule.until else ""
    return f"{rule.detail or ''}{end}"


def _result(found: Explanation, now: float) -> str:
    coming = f"; ready by {both(found.expected_ready_time, now)}" if found.expected_ready_time else ""
    return f"{_change(found)}{coming}"


def _verdict(found: Explanation) -> Text:
    if not found.disagreements:
        return Text(f"{MARK['good']} Every number agrees with what the operator recorded.", style=STYLE["good"])
    words = "\n".join(_lines(found))
    return Text(words, style=STYLE["bad"])


def _lines(found: Explanation) -> Iterator[str]:
    yield f"{MARK['bad']} The record does not agree with itself:"
    for sentence in found.disagreements:
        yield f"  {sentence}"


def _block(words: Text | str, margin: str = "") -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=INDENT, justify="right", style="dim")
    grid.add_column(overflow="fold")
    grid.add_row(margin, words)
    return grid


def _grid(columns: int) -> Table:
    """Columns after a margin, of which the last one folds."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=INDENT)
    for column in range(1, columns):
        grid.add_column(no_wrap=column < columns - 1, overflow="fold")
    return grid
