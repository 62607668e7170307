"""What the chart becomes with some values."""

import json
from typing import Any

import yaml

from localcluster import product, tools
from localcluster.commands import run

Manifest = dict[str, Any]


def rendered(**values: Any) -> list[Manifest]:
    """All objects of a release."""
    command = [tools.program("helm"), "template", product.RELEASE, str(product.CHART), "-n", product.NAMESPACE]
    text = run([*command, "--values=-"], stdin=json.dumps(values)).stdout
    return [body for body in yaml.safe_load_all(text) if body]


def of_kind(bodies: list[Manifest], kind: str) -> list[Manifest]:
    """Those of one kind."""
    return [body for body in bodies if body["kind"] == kind]
