"""What can go wrong in a real engine, switched on at run time by POST /enginesim/faults."""

from dataclasses import dataclass, fields
from typing import Any


@dataclass
class Faults:
    """Each is off by default."""

    hang: bool = False
    """Accept and never generate; /health stays 200, as with a hung accelerator."""
    unhealthy: bool = False
    """/health answers 503."""
    metrics_missing: bool = False
    """/metrics answers without any of the engine's families."""
    metrics_seconds: float = 0.0
    """/metrics answers late."""
    refuse_requests: bool = False
    """Answer 503 to every generation."""

    def update(self, wanted: dict[str, Any]) -> None:
        """Set some.

        Raises:
            ValueError: an unknown name or a wrong type.
        """
        known = {entry.name: type(getattr(self, entry.name)) for entry in fields(self)}
        for name, value in wanted.items():
            if name not in known:
                raise ValueError(f"unknown fault {name!r}: known are {', '.join(sorted(known))}, crash, oom")
            if not isinstance(value, (bool, int, float)):
                raise ValueError(f"fault {name} takes a boolean or a number, not {value!r}")  # noqa: TRY004
            setattr(self, name, known[name](value))
