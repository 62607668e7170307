"""What a Job's pod says of its fetch: read with care, because a pod runs in its tenant's namespace."""

import json
from dataclasses import dataclass
from typing import Any

from llmendpoint.reconcile.batch_progress import count_of

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True)
class FetchProgress:
    """Figures of all that a Job fetches together."""

    bytes_done: int
    bytes_total: int | None = None
    """None until the files are listed."""
    files_done: int | None = None
    files_total: int | None = None
    bytes_per_second: int = 0

    @property
    def sentence(self) -> str:
        """How far it is, for people."""
        if self.bytes_total is None:
            return "the files are listed"
        figures = [f"{amount(self.bytes_done)} of {amount(self.bytes_total)}"]
        if self.bytes_per_second:
            left = (self.bytes_total - self.bytes_done) / self.bytes_per_second
            figures += [f"{amount(self.bytes_per_second)}/s", f"about {duration(left)} left"]
        return ", ".join(figures)


def read_progress(said: Any) -> FetchProgress:
    """The figures in an answer that was JSON.

    Raises:
        ValueError: it has another form.
    """
    done = count_of(said.get("bytesDone")) if isinstance(said, dict) else None
    if done is None:
        raise ValueError(f"no figures of a fetch: {said!r}")
    return FetchProgress(
        done,
        count_of(said.get("bytesTotal")),
        count_of(said.get("filesDone")),
        count_of(said.get("filesTotal")),
        count_of(said.get("bytesPerSecond")) or 0,
    )


def parse_progress(text: str) -> FetchProgress | None:
    """The figures in a pod's last words; None where it has others."""
    try:
        return read_progress(json.loads(text))
    except (ValueError, RecursionError):
        return None


def amount(count: float) -> str:
    """Bytes, for people."""
    unit = 0
    while count >= 1024 and unit < len(UNITS) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:.1f} {UNITS[unit]}" if unit else f"{count:.0f} B"


def duration(seconds: float) -> str:
    """A time, for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
