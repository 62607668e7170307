"""``llmendpoint``: what can be done without a cluster."""

from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import yaml

from llmendpoint import manifests
from llmendpoint.api import names, plain_yaml, schema
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.cli import validation

app = typer.Typer(no_args_is_help=True, help="LLMEndpoint: one object, a production LLM service.", add_completion=True)

File = Annotated[
    Path, typer.Option("--file", "-f", help="YAML file with LLMEndpoint objects.", exists=True, dir_okay=False)
]


@app.command()
def crd() -> None:
    """Print the CustomResourceDefinition."""
    typer.echo(schema.to_yaml(), nl=False)


@app.command()
def render(file: File) -> None:
    """Print every child of the objects in a file, as the operator would make them."""
    for endpoint in _endpoints(file):
        if wrong := manifests.problems(endpoint):
            _fail(f"{file}: {endpoint.name}: {'; '.join(wrong)}")
        for child in manifests.children(endpoint, manifests.ManifestDefaults()):
            typer.echo("---\n" + plain_yaml.dump(child), nl=False)


@app.command()
def validate(file: File) -> None:
    """Check the objects in a file as the API server and the operator would. Exit status 1 if one is refused."""
    refused = False
    for body in _bodies(file):
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


def _endpoints(file: Path) -> list[Endpoint]:
    bodies = _bodies(file)
    if wrong := [sentence for body in bodies for sentence in validation.problems(body)]:
        _fail("\n".join(f"{file}: {sentence}" for sentence in wrong))
    return [Endpoint.from_object(body) for body in bodies]


def _bodies(file: Path) -> list[dict[str, Any]]:
    try:
        bodies = list(yaml.safe_load_all(file.read_text()))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        _fail(f"{file} is not YAML: {error}")
    found = [body for body in bodies if isinstance(body, dict) and body.get("kind") == names.KIND]
    if not found:
        _fail(f"{file} has no object of kind {names.KIND}")
    return found


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)
