"""``llmendpoint``, also as ``kubectl llmendpoint``: every command by its name."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from llmendpoint import manifests
from llmendpoint.api import plain_yaml, schema
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.cli import doctor, explain, history, import_sagemaker, simulation, status, tuning
from llmendpoint.cli.files import File, bodies, endpoints, fail

CLUSTER = "On a cluster"
ALONE = "Without a cluster"

Allowed = Annotated[
    bool,
    typer.Option(
        "--allow-privileged-pod-templates",
        help="As an operator does whose administrator allows what reaches beyond an endpoint's pods.",
    ),
]

app = typer.Typer(no_args_is_help=True, help="LLMEndpoint: one object, a production LLM service.", add_completion=True)
app.command(rich_help_panel=CLUSTER)(status.status)
app.command(rich_help_panel=CLUSTER)(explain.explain)
app.command(rich_help_panel=CLUSTER)(history.history)
app.command(rich_help_panel=CLUSTER)(doctor.doctor)
app.command(rich_help_panel=ALONE)(simulation.simulate)
app.command(rich_help_panel=ALONE)(tuning.tune)
app.command(rich_help_panel=ALONE)(import_sagemaker.import_sagemaker)


@app.command(rich_help_panel=ALONE)
def crd() -> None:
    """Print the CustomResourceDefinition."""
    typer.echo(schema.to_yaml(), nl=False)


@app.command(rich_help_panel=ALONE)
def render(file: File, allow_privileged_pod_templates: Allowed = False) -> None:
    """Print every child of the objects in a file, as the operator would make them."""
    defaults = manifests.ManifestDefaults(allow_privileged_pod_templates=allow_privileged_pod_templates)
    for endpoint in endpoints(file):
        if wrong := manifests.problems(endpoint, defaults):
            fail(f"{file}: {endpoint.name}: {'; '.join(wrong)}")
        for child in manifests.children(endpoint, defaults):
            typer.echo("---\n" + plain_yaml.dump(child), nl=False)


@app.command(rich_help_panel=ALONE)
def validate(file: File, allow_privileged_pod_templates: Allowed = False) -> None:
    """Check the objects in a file as the API server and the operator would. Exit status 1 if one is refused."""
    from llmendpoint.cli import validation

    defaults = manifests.ManifestDefaults(allow_privileged_pod_templates=allow_privileged_pod_templates)
    refused = False
    for body in bodies(file):
        name = (body.get("metadata") or {}).get("name", "an object without a name")
        wrong = validation.problems(body) or manifests.problems(Endpoint.from_object(body), defaults)
        refused = refused or bool(wrong)
        for sentence in wrong:
            typer.echo(f"{file}: {name}: {sentence}", err=True)
        if not wrong:
            typer.echo(f"{file}: {name}: valid")
    if refused:
        raise typer.Exit(1)


def main() -> None:
    """Entry point of the console scripts. As a plugin it is called by kubectl, and says so in its help."""
    called = Path(sys.argv[0]).name
    app(prog_name="kubectl llmendpoint" if called == "kubectl-llmendpoint" else called)
