"""``llmendpoint status``: how endpoints are, all of a namespace or one."""

import sys
import time
from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from llmendpoint.api.endpoint import Endpoint
from llmendpoint.cli import connection, status_output
from llmendpoint.cli.completion import OptionalName
from llmendpoint.cli.connection import Where
from llmendpoint.cli.data_output import print_data
from llmendpoint.cli.files import fail
from llmendpoint.cli.lookup import the_endpoint, the_endpoints
from llmendpoint.cli.status_facts import facts_of
from llmendpoint.cli.terminal import console, page

DATA = frozenset({"json", "yaml"})
# A line stays a line for other programs, and where much is asked for.
UNFOLDED = 1000


def status(
    name: OptionalName = None,
    namespace: connection.Namespace = None,
    all_namespaces: connection.AllNamespaces = False,
    context: connection.Context = None,
    kubeconfig: connection.Kubeconfig = None,
    output: Annotated[
        Literal["table", "wide", "json", "yaml"],
        typer.Option("--output", "-o", help="table; wide with cost, policy and URL; json or yaml for programs."),
    ] = "table",
) -> None:
    """Show how endpoints are: replicas, what holds them, GPU-hours.

    With a name: its conditions, the last decision and the last changes too.
    """
    if name and all_namespaces:
        fail(f"an endpoint has one namespace: give {name} with -n, or -A without a name")
    where = Where(kubeconfig, context, namespace)
    if name:
        _show(the_endpoint(where, name), output)
    else:
        looked_at, found = the_endpoints(where, everywhere=all_namespaces)
        _list(looked_at, found, output)


def _show(endpoint: Endpoint, output: str) -> None:
    now = time.time()
    facts = facts_of(endpoint, now)
    if output in DATA:
        print_data(facts, output)
    elif output == "wide":
        status_output.print_list(console(UNFOLDED), [facts], now, namespaces=True, wide=True)
    else:
        status_output.print_one(page(), facts, now)


def _list(namespace: str | None, found: Sequence[Endpoint], output: str) -> None:
    now = time.time()
    facts = [facts_of(endpoint, now) for endpoint in found]
    if output in DATA:
        print_data(facts, output)
    elif not facts:
        typer.echo(f"No LLMEndpoint in {f'namespace {namespace}' if namespace else 'any namespace'}.", err=True)
    else:
        wide = output == "wide"
        out = console(None if sys.stdout.isatty() and not wide else UNFOLDED)
        status_output.print_list(out, facts, now, namespaces=namespace is None, wide=wide)
