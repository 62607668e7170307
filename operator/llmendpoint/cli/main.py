"""``llmendpoint``: what can be done without a cluster."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer
import yaml
from pydantic import ValidationError

from llmendpoint import manifests
from llmendpoint.api import names, schema
from llmendpoint.api.endpoint import Endpoint

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
            typer.echo("---\n" + yaml.safe_dump(child, sort_keys=False, width=120), nl=False)


def main() -> None:
    """Entry point of the console scripts."""
    app()


def _endpoints(file: Path) -> list[Endpoint]:
    try:
        bodies = [body for body in yaml.safe_load_all(file.read_text()) if body]
    except yaml.YAMLError as error:
        _fail(f"{file} is not YAML: {error}")
    found = []
    for body in bodies:
        if not isinstance(body, dict) or body.get("kind") != names.KIND:
            continue
        try:
            found.append(Endpoint.from_object(body))
        except KeyError as error:
            _fail(f"{file}: the object has no {error.args[0]}")
        except ValidationError as error:
            _fail("\n".join(f"{file}: {'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()))
    if not found:
        _fail(f"{file} has no object of kind {names.KIND}")
    return found


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)
