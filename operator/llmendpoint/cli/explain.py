"""``llmendpoint explain``: the last decision of the scaler, redone by hand."""

import time

import typer

from llmendpoint.cli import connection
from llmendpoint.cli.completion import Name
from llmendpoint.cli.connection import Where
from llmendpoint.cli.data_output import Output, print_data
from llmendpoint.cli.explain_output import print_explanation
from llmendpoint.cli.explanation.explanation import explain as explained
from llmendpoint.cli.explanation.explanation import no_decision
from llmendpoint.cli.lookup import the_endpoint
from llmendpoint.cli.terminal import page


def explain(
    name: Name,
    namespace: connection.Namespace = None,
    context: connection.Context = None,
    kubeconfig: connection.Kubeconfig = None,
    output: Output = "table",
) -> None:
    """Redo the last decision of the scaler with its numbers, and check them.

    Every reading, every step of the sum with its formula, every rule that changed the count, and the sentence that they
    come to. Says so where a number is not what the operator recorded.
    """
    endpoint = the_endpoint(Where(kubeconfig, context, namespace), name)
    found = explained(endpoint)
    if found is None:
        typer.echo(no_decision(endpoint), err=output != "table")
    elif output == "table":
        print_explanation(page(), found, time.time())
    else:
        print_data(found, output)
