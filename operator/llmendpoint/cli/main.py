"""``llmendpoint``, also as ``kubectl llmendpoint``: every command by its name."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from llmendpoint import manifests
from llmendpoint.api import names, plain_yaml, schema
from llmendpoint.api.batch import Batch
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.cli import doctor, explain, history, import_sagemaker, simulation, status, tuning
from llmendpoint.cli.files import BOTH, File, bodies, fail, good_bodies
from llmendpoint.manifests.batch import batch_job, endpoint_of, own_endpoint

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
    """Print the CustomResourceDefinitions."""
    typer.echo("---\n".join(map(schema.to_yaml, schema.DEFINITIONS)), nl=False)


@app.command(rich_help_panel=ALONE)
def render(file: File, allow_privileged_pod_templates: Allowed = False) -> None:
    """Print every child of the objects in a file, as the operator would make them."""
    defaults = manifests.ManifestDefaults(allow_privileged_pod_templates=allow_privileged_pod_templates)
    found = good_bodies(file, BOTH)
    known = [Endpoint.from_object(body) for body in found if body["kind"] == names.KIND]
    for endpoint in known:
        if wrong := manifests.problems(endpoint, defaults):
            fail(f"{file}: {endpoint.name}: {'; '.join(wrong)}")
        _print(manifests.children(endpoint, defaults))
    for batch in [Batch.from_object(body) for body in found if body["kind"] == names.BATCH_KIND]:
        spec, own = batch.spec.endpoint, endpoint_of(batch)
        answering = own or next((entry for entry in known if entry.name == batch.endpoint_name), None)
        if answering is None:
            fail(f"{file}: {batch.name}: put LLMEndpoint {batch.endpoint_name} into the file, which its workers ask")
        _print([*([own_endpoint(batch, spec)] if spec else []), batch_job(batch, answering, defaults)])


@app.command(rich_help_panel=ALONE)
def validate(file: File, allow_privileged_pod_templates: Allowed = False) -> None:
    """Check the objects in a file as the API server and the operator would. Exit status 1 if one is refused."""
    from llmendpoint.cli import validation

    defaults = manifests.ManifestDefaults(allow_privileged_pod_templates=allow_privileged_pod_templates)
    refused = False
    for body in bodies(file, BOTH):
        name = (body.get("metadata") or {}).get("name", "an object without a name")
        wrong = validation.problems(body) or _beyond_the_schema(body, defaults)
        refused = refused or bool(wrong)
        for sentence in wrong:
            typer.echo(f"{file}: {name}: {sentence}", err=True)
        if not wrong:
            typer.echo(f"{file}: {name}: valid")
    if refused:
        raise typer.Exit(1)


def _beyond_the_schema(body: dict[str, Any], defaults: manifests.ManifestDefaults) -> list[str]:
    """What the operator would say of an object that the API server takes."""
    is_endpoint = body["kind"] == names.KIND
    endpoint = Endpoint.from_object(body) if is_endpoint else endpoint_of(Batch.from_object(body))
    return manifests.problems(endpoint, defaults) if endpoint else []


def _print(children: Iterable[manifests.Manifest]) -> None:
    for child in children:
        typer.echo("---\n" + plain_yaml.dump(child), nl=False)


def main() -> None:
    """Entry point of the console scripts. As a plugin it is called by kubectl, and says so in its help."""
    called = Path(sys.argv[0]).name
    app(prog_name="kubectl llmendpoint" if called == "kubectl-llmendpoint" else called)
