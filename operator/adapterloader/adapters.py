"""The list of adapters as it is given, and the state of each as it is told."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

State = Literal["Loaded", "Loading", "Failed", "Unloading"]


@dataclass(frozen=True)
class Wanted:
    """One adapter of the list."""

    name: str
    source: str
    revision: str | None = None
    path: str | None = None
    """Where it lies; None where it is to be fetched."""
    folder: str = ""
    """The folder below the root that it is fetched into."""


@dataclass
class Progress:
    """How far an adapter is."""

    wanted: Wanted
    state: State = "Loading"
    message: str = ""
    again_at: float = 0.0
    """When a failed one is tried again, by the monotonic clock."""
    failures: int = 0

    def told(self) -> dict[str, str | None]:
        """For the operator."""
        about = {"name": self.wanted.name, "source": self.wanted.source, "revision": self.wanted.revision}
        return {**about, "state": self.state, "message": self.message}


def read_list(path: Path) -> Mapping[str, Wanted] | None:
    """The list by name; None where nobody has written it yet, or it is half written."""
    try:
        text = path.read_text()
        return {entry["name"]: Wanted(**entry) for entry in json.loads(text)} if text.strip() else None
    except (OSError, ValueError, LookupError, TypeError):
        return None
