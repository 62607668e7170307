"""The list of adapters as it is given, and the state of each as it is told."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
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
    place: str | None = None
    """Where its files are; None where they are not known to be there."""
    state: State = "Loading"
    message: str = ""
    again_at: float = 0.0
    """When a failed one is tried again, by the monotonic clock."""
    failures: int = 0
    ended: int = 0
    """How often the engine has ended when it was to load it."""

    def told(self) -> dict[str, str | None]:
        """For the operator."""
        about = {"name": self.wanted.name, "source": self.wanted.source, "revision": self.wanted.revision}
        return {**about, "state": self.state, "message": self.message}


def read_list(path: Path) -> Mapping[str, Wanted] | None:
    """The list by name; None where nobody has written it yet, or it is half written.

    What a newer operator says of an adapter beside what is known here is passed over.
    """
    known = {field.name for field in fields(Wanted)}
    try:
        entries = json.loads(path.read_text() or "null")
        return {entry["name"]: Wanted(**{key: entry[key] for key in entry.keys() & known}) for entry in entries}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
