"""Reading our objects from YAML files, and ending a command with a sentence."""

from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import yaml

from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint

File = Annotated[
    Path, typer.Option("--file", "-f", help="YAML file with LLMEndpoint objects.", exists=True, dir_okay=False)
]
BOTH = (names.KIND, names.BATCH_KIND)


def endpoints(file: Path) -> list[Endpoint]:
    """The LLMEndpoints of a file, all of them good."""
    return [Endpoint.from_object(body) for body in good_bodies(file, (names.KIND,))]


def good_bodies(file: Path, kinds: tuple[str, ...]) -> list[dict[str, Any]]:
    """The objects of a file as written, all of them good."""
    from llmendpoint.cli import validation  # CEL takes a second to load, which other commands spare

    found = bodies(file, kinds)
    if wrong := [sentence for body in found for sentence in validation.problems(body)]:
        fail("\n".join(f"{file}: {sentence}" for sentence in wrong))
    return found


def bodies(file: Path, kinds: tuple[str, ...]) -> list[dict[str, Any]]:
    """The objects of some kinds in a file as written."""
    try:
        documents = list(yaml.safe_load_all(file.read_text()))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        fail(f"{file} is not YAML: {error}")
    found = [body for body in documents if isinstance(body, dict) and body.get("kind") in kinds]
    if not found:
        fail(f"{file} has no object of kind {' or '.join(kinds)}")
    return found


def fail(message: str) -> NoReturn:
    """Say what is wrong on stderr and end with status 1."""
    typer.echo(message, err=True)
    raise typer.Exit(1)
