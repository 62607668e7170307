"""Looking into JSON of any form: what has not the wanted form is for the API server to refuse, and absent here."""

from collections.abc import Mapping
from typing import Any


def mapping(value: Any) -> Mapping[str, Any]:
    """An object; an empty one in place of anything else."""
    return value if isinstance(value, Mapping) else {}


def entries(value: Any) -> list[Mapping[str, Any]]:
    """The objects in a list."""
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def by_name(value: Any) -> dict[Any, Mapping[str, Any]]:
    """The objects in a list by their names."""
    return {entry.get("name"): entry for entry in entries(value)}
