"""What a batch's worker says of its shard: read with care, because a pod runs in its tenant's namespace."""

import json
import math
from dataclasses import dataclass
from typing import Any

# More than any file has; JSON knows no bound.
MOST = 10**15


@dataclass(frozen=True)
class Progress:
    """Figures of one shard as a whole, what a worker before has done included."""

    lines: int | None = None
    """None until they were counted."""
    completed: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    lines_resumed: int = 0
    lines_per_second: float = 0.0

    @property
    def finished_lines(self) -> int:
        """Lines that are done, well or not."""
        return self.completed + self.failed


def parse_progress(text: str) -> Progress | None:
    """The figures in a worker's answer or last words; None where it has another form."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    counts = [count_of(said.get(name, 0)) for name in _COUNTS]
    lines = None if said.get("lines") is None else count_of(said["lines"])
    pace = said.get("linesPerSecond", 0.0)
    if None in counts or "completed" not in said or not _is_number(pace):
        return None
    completed, failed, prompt, completion, resumed = (count or 0 for count in counts)
    return Progress(lines, completed, failed, prompt, completion, resumed, min(max(float(pace), 0.0), float(MOST)))


_COUNTS = ("completed", "failed", "promptTokens", "completionTokens", "linesResumed")


def count_of(value: Any) -> int | None:
    """A count within bounds; None for what is no number."""
    return min(max(int(value), 0), MOST) if _is_number(value) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
