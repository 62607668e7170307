"""What a command found as JSON or YAML, for programs."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import typer

from llmendpoint.api import plain_yaml
from llmendpoint.api.base import ApiModel

Output = Annotated[
    Literal["table", "json", "yaml"],
    typer.Option("--output", "-o", help="table for people; json or yaml for programs."),
]


def print_data(found: ApiModel | Sequence[ApiModel], output: str) -> None:
    """Print it; names are those of the API."""
    data: Any = found.to_wire() if isinstance(found, ApiModel) else [entry.to_wire() for entry in found]
    typer.echo(json.dumps(data, indent=2) if output == "json" else plain_yaml.dump(data), nl=output == "json")
