"""Endpoints at a glance at a terminal: a line each, or one with all that is to be said."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from llmendpoint.api.conditions import ConditionType
from llmendpoint.api.status import Condition
from llmendpoint.cli.status_facts import EndpointFacts, Health, Replicas
from llmendpoint.cli.terminal import MARK, STYLE, Tone, both, relative

TONE: dict[Health, Tone] = {"Ready": "good", "Underway": "busy", "Failing": "bad", "Unseen": "busy"}
CHANGES_SHOWN = 3
# Columns that give way where a terminal is narrow.
FOLDED = frozenset({"STATE", "HELD BY"})
# More would be no picture.
PICTURED = 24


def print_list(console: Console, found: Sequence[EndpointFacts], now: float, *, namespaces: bool, wide: bool) -> None:
    """Print a line for each endpoint."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading, right in _headings(namespaces=namespaces, wide=wide):
        table.add_column(heading, justify="right" if right else "left", no_wrap=heading not in FOLDED, overflow="fold")
    for facts in found:
        table.add_row(*_line(facts, now, namespaces=namespaces, wide=wide))
    console.print(table)


def _headings(*, namespaces: bool, wide: bool) -> Iterator[tuple[str, bool]]:
    if namespaces:
        yield "NAMESPACE", False
    yield from (("NAME", False), ("READY", True), ("STATE", False), ("MODE", False), ("GPU-H", True))
    yield "HELD BY", False
    if wide:
        yield from (("COST", True), ("COLD START", True), ("POLICY", False), ("BOUNDS", False))
        yield from (("MODEL", False), ("URL", False))


def _line(facts: EndpointFacts, now: float, *, namespaces: bool, wide: bool) -> Iterator[str | Text]:
    if namespaces:
        yield facts.namespace
    tone, replicas, usage = TONE[facts.health], facts.replicas, facts.usage
    yield Text(facts.name, style="bold")
    yield f"{replicas.ready}/{'?' if replicas.desired is None else replicas.desired}"
    yield Text(f"{MARK[tone]} {'Ready' if facts.health == 'Ready' else facts.reason}", style=STYLE[tone])
    yield facts.mode
    yield f"{usage.gpu_hours:,.1f}" if usage else "-"
    yield _held(facts, now) or "-"
    if wide:
        yield f"{usage.cost:,.2f}" if usage and usage.cost is not None else "-"
        yield f"{facts.cold_start.p50:.0f} s" if facts.cold_start else "-"
        yield facts.policy or "-"
        yield "-" if replicas.least is None else f"{replicas.least} to {replicas.most}"
        yield facts.model
        yield facts.url


def _held(facts: EndpointFacts, now: float) -> str:
    if facts.hold is None:
        return ""
    return f"{facts.hold.rule}, {_end(facts.hold.until, now)}" if facts.hold.until else facts.hold.rule


def _end(until: str, now: float) -> str:
    """When a rule lets go. Cooldowns begin when replicas are ready, so that their end may be later than was thought."""
    seen = relative(until, now)
    return seen if seen.startswith("in ") else "about to end"


def print_one(console: Console, facts: EndpointFacts, now: float) -> None:
    """Print all that is to be said of an endpoint."""
    tone = TONE[facts.health]
    title = Text.assemble(
        (facts.name, "bold"), (f" in {facts.namespace} ", "dim"), (f"{MARK[tone]} {facts.reason}", STYLE[tone])
    )
    console.print(
        Panel(_summary(facts, now), title=title, title_align="left", box=box.ROUNDED, border_style="bright_black")
    )
    console.print(_conditions(facts.conditions, now))
    for block in (*_decision(facts, now), *_changes(facts, now)):
        console.print()
        console.print(block)


def _summary(facts: EndpointFacts, now: float) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in _rows(facts, now):
        grid.add_row(name, value)
    return grid


def _rows(facts: EndpointFacts, now: float) -> Iterator[tuple[str, RenderableType]]:
    yield "Replicas", Group(*_replicas(facts.replicas, facts.would_run))
    yield "Scaling", f"{facts.mode}, policy {facts.policy}" if facts.policy else f"{facts.mode}: spec.replicas counts"
    if facts.hold:
        end = f" until {both(facts.hold.until, now)}" if facts.hold.until else ""
        yield "Held by", f"{facts.hold.rule}{end}: {facts.hold.detail or 'no detail'}"
    each = f"{facts.gpus_per_replica} GPU{'' if facts.gpus_per_replica == 1 else 's'} a replica"
    yield "Model", f"{facts.model} on {facts.engine}, {each}"
    yield "URL", facts.url
    if facts.cold_start:
        start = facts.cold_start
        yield "Cold start", f"{start.p50:.0f} s, 90 % within {start.p90:.0f} s ({start.samples} starts seen)"
    if facts.usage:
        yield "Used", _used(facts, now)


def _used(facts: EndpointFacts, now: float) -> str:
    usage = facts.usage
    if usage is None:
        return ""
    words = f"{usage.gpu_hours:,.2f} GPU-hours since {usage.since[:10]}, {usage.gpus} GPUs held now"
    if usage.cost is None or usage.cost_as_of is None:
        return words
    late = "" if relative(usage.cost_as_of, now) == "0 s ago" else f" until {both(usage.cost_as_of, now)}"
    return f"{words}; cost {usage.cost:,.2f}{late}"


def _replicas(replicas: Replicas, would_run: int | None) -> Iterator[Text]:
    wanted = replicas.desired if replicas.desired is not None else replicas.ready + replicas.starting
    missing = max(wanted - replicas.ready - replicas.starting, 0)
    bounds = f" of {replicas.least} to {replicas.most}" if replicas.least is not None else ""
    words = f"{replicas.ready} ready, {replicas.starting} starting, {wanted} wanted{bounds}"
    if wanted and replicas.ready + replicas.starting + missing <= PICTURED:
        yield Text.assemble(
            ("●" * replicas.ready, STYLE["good"]), ("◐" * replicas.starting, STYLE["busy"]), ("○" * missing, "dim"),
            f"  {words}",
        )  # fmt: skip
    else:
        yield Text(words)
    if would_run is not None:
        yield Text(f"the scaler would run {would_run}")


def _conditions(conditions: Sequence[Condition], now: float) -> RenderableType:
    if not conditions:
        return Text("  The operator has said nothing of it yet: does it run? llmendpoint doctor looks.")
    grid = Table.grid(padding=(0, 1))
    for overflow in (False, False, True):
        grid.add_column(no_wrap=not overflow, overflow="fold")
    for entry in conditions:
        tone = _tone(entry)
        grid.add_row(
            Text(f"  {MARK[tone]}", style=STYLE[tone]),
            Text(entry.type, style="bold"),
            Text.assemble(
                (entry.reason, STYLE[tone]),
                (f", {relative(entry.last_transition_time, now)}", "dim"),
                f": {entry.message}",
            ),
        )
    return grid


def _tone(entry: Condition) -> Tone:
    if entry.type == ConditionType.PROGRESSING:
        return "busy" if entry.status == "True" else "plain"
    if entry.status == "True":
        return "good"
    is_chosen = entry.status == "Unknown" or entry.type == ConditionType.SCALING_ACTIVE
    return "plain" if is_chosen else "bad"


def _decision(facts: EndpointFacts, now: float) -> Iterator[RenderableType]:
    if facts.decision and facts.decision_time:
        yield Group(
            Text.assemble(("Last decision", "bold"), (f"  {both(facts.decision_time, now)}", "dim")),
            _indented(Text(facts.decision)),
            _indented(Text(f"the sum: llmendpoint explain {facts.name} -n {facts.namespace}", style="dim")),
        )


def _changes(facts: EndpointFacts, now: float) -> Iterator[RenderableType]:
    if not facts.changes:
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(style="bold", no_wrap=True)
    for change in facts.changes[:CHANGES_SHOWN]:
        grid.add_row(Text(f"  {both(change.time, now)}"), f"{change.from_replicas} -> {change.to_replicas}")
    older = len(facts.changes) - CHANGES_SHOWN
    more = f"  {older} more, and why: llmendpoint history {facts.name} -n {facts.namespace}" if older > 0 else ""
    yield Group(Text.assemble(("Last changes", "bold"), (more, "dim")), grid)


def _indented(text: Text) -> RenderableType:
    grid = Table.grid()
    grid.add_column(width=2)
    grid.add_column(overflow="fold")
    grid.add_row("", text)
    return grid
