"""``llmendpoint history``: the last scale changes of an endpoint, and why each was made."""

import time

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from llmendpoint.api.status import ScaleChange
from llmendpoint.cli import connection
from llmendpoint.cli.completion import Name
from llmendpoint.cli.connection import Where
from llmendpoint.cli.data_output import Output, print_data
from llmendpoint.cli.lookup import the_endpoint
from llmendpoint.cli.terminal import absolute, page, relative


def history(
    name: Name,
    namespace: connection.Namespace = None,
    context: connection.Context = None,
    kubeconfig: connection.Kubeconfig = None,
    output: Output = "table",
) -> None:
    """Show the last ten changes of the replica count, newest first, and why each was made."""
    endpoint = the_endpoint(Where(kubeconfig, context, namespace), name)
    changes = endpoint.status.scaling.history if endpoint.status.scaling else []
    if output != "table":
        print_data(changes, output)
    elif changes:
        page().print(_table(changes, time.time()))
    else:
        typer.echo(f"The scaler has not changed the size of {endpoint.namespace}/{endpoint.name} yet.", err=True)


def _table(changes: list[ScaleChange], now: float) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold", leading=1)
    table.add_column("WHEN (UTC)", no_wrap=True)
    table.add_column("REPLICAS", no_wrap=True, justify="right")
    table.add_column("WHY", overflow="fold")
    for change in changes:
        out = change.to_replicas > change.from_replicas
        when = Text.assemble(absolute(change.time, now), (f"\n{relative(change.time, now)}", "dim"))
        size = Text(f"{change.from_replicas} -> {change.to_replicas}", style="bold yellow" if out else "bold green")
        table.add_row(when, size, change.sentence)
    return table
