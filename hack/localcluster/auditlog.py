"""An API server's audit log, read while it is written."""

import json
from pathlib import Path
from typing import Any


def read(log: Path, begin: int = 0) -> tuple[list[dict[str, Any]], int]:
    """The events from a place in the log on, and the place where the next one begins.

    The last line may be being written; it counts from when it is whole.
    """
    with log.open("rb") as lines:
        lines.seek(begin)
        whole = [line for line in lines if line.endswith(b"\n")]
    return [json.loads(line) for line in whole], begin + sum(map(len, whole))
