"""``llmendpoint``: what can be done without a cluster."""

import typer

from llmendpoint import manifests
from llmendpoint.api import plain_yaml, schema
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.cli import import_sagemaker, simulation, tuning, validation
from llmendpoint.cli.files import File, bodies, endpoints, fail

app = typer.Typer(no_args_is_help=True, help="LLMEndpoint: one object, a production LLM service.", add_completion=True)
app.command()(simulation.simulate)
app.command()(tuning.tune)
app.command()(import_sagemaker.import_sagemaker)


@app.command()
def crd() -> None:
    """Print the CustomResourceDefinition."""
    typer.echo(schema.to_yaml(), nl=False)


@app.command()
def render(file: File) -> None:
    """Print every child of the objects in a file, as the operator would make them."""
    for endpoint in endpoints(file):
        if wrong := manifests.problems(endpoint):
            fail(f"{file}: {endpoint.name}: {'; '.join(wrong)}")
        for child in manifests.children(endpoint, manifests.ManifestDefaults()):
            typer.echo("---\n" + plain_yaml.dump(child), nl=False)


@app.command()
def validate(file: File) -> None:
    """Check the objects in a file as the API server and the operator would. Exit status 1 if one is refused."""
    refused = False
    for body in bodies(file):
        name = (body.get("metadata") or {}).get("name", "an object without a name")
        wrong = validation.problems(body) or manifests.problems(Endpoint.from_object(body))
        refused = refused or bool(wrong)
        for sentence in wrong:
            typer.echo(f"{file}: {name}: {sentence}", err=True)
        if not wrong:
            typer.echo(f"{file}: {name}: valid")
    if refused:
        raise typer.Exit(1)


def main() -> None:
    """Entry point of the console scripts."""
    app()
