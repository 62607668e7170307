"""``llmendpoint doctor``: what is wrong with an installation, and what to do."""

import time
from collections.abc import Iterator

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from llmendpoint.api.schema import DEFINITIONS
from llmendpoint.cli import connection
from llmendpoint.cli.checks.check import Check, Level
from llmendpoint.cli.checks.conditions import check_conditions
from llmendpoint.cli.checks.definition import check_definition, check_server
from llmendpoint.cli.checks.examination import Examination, examine
from llmendpoint.cli.checks.gpus import check_gpus
from llmendpoint.cli.checks.operators import check_lease, check_operators
from llmendpoint.cli.checks.permissions import check_permissions
from llmendpoint.cli.checks.reachability import check_metrics
from llmendpoint.cli.connection import Where, ask
from llmendpoint.cli.data_output import Output, print_data
from llmendpoint.cli.terminal import page

STYLE: dict[Level, str] = {"ok": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}


def doctor(
    namespace: connection.Namespace = None,
    context: connection.Context = None,
    kubeconfig: connection.Kubeconfig = None,
    output: Output = "table",
) -> None:
    """Check an installation and say what to do. Exit status 1 when something fails.

    The API server, the CRDs, the operator, its leader and permissions, whether the engines' metrics can be read, GPUs
    against what endpoints may ask for, and each endpoint's conditions; of all namespaces, or of one.
    """
    seen = ask(Where(kubeconfig, context, namespace), lambda cluster: examine(cluster, namespace))
    found = [seen] if isinstance(seen, Check) else list(judge(seen, time.time()))
    if output == "table":
        _print(page(), found)
    else:
        print_data(found, output)
    if any(check.level == "fail" for check in found):
        raise typer.Exit(1)


def judge(seen: Examination, now: float) -> Iterator[Check]:
    """Every check, in the order in which one would look."""
    yield from check_server(seen.server, seen.version)
    for definition, crd in zip(DEFINITIONS, seen.crds, strict=True):
        yield from check_definition(definition, crd)
    yield from check_operators(seen.operators, seen.endpoints)
    yield from check_lease(seen.lease, now)
    yield from check_permissions(seen.reviews)
    yield from check_gpus(seen.nodes, seen.pods, seen.endpoints)
    yield from check_metrics(seen.probes)
    yield from check_conditions(seen.endpoints, seen.namespace)


def _print(out: Console, found: list[Check]) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for check in found:
        words = Text(check.found)
        if check.todo:
            words.append(f"\n-> {check.todo}", style="cyan")
        grid.add_row(Text(check.level, style=STYLE[check.level]), check.subject, words)
    out.print(grid)
    counts = [(level, sum(check.level == level for check in found)) for level in ("fail", "warn", "skip")]
    told = ", ".join(f"{count} {level}" for level, count in counts if count)
    out.print(Text(f"\n{told}." if told else "\nAll is well.", style="bold"))
