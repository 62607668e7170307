"""How far a shard is: the counts that survive it, and how fast it goes."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass

WINDOW_SECONDS = 60.0
Said = dict[str, int | float | None]
"""A report as /progress and the termination message say it."""


@dataclass(frozen=True)
class Counts:
    """What was done since the batch began, by whatever process."""

    completed: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.completed + other.completed,
            self.failed + other.failed,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )

    @property
    def lines(self) -> int:
        """Lines that are done."""
        return self.completed + self.failed


@dataclass(frozen=True)
class Report:
    """What the operator is told of a shard."""

    lines: int | None
    """All of the shard; None while they are not counted yet."""
    counts: Counts
    lines_resumed: int
    """Done before this process began."""
    lines_per_second: float

    @property
    def said(self) -> Said:
        """As others are told."""
        counts = {_camel(name): value for name, value in asdict(self.counts).items()}
        rate = round(self.lines_per_second, 2)
        return {"lines": self.lines, **counts, "linesResumed": self.lines_resumed, "linesPerSecond": rate}


class Pace:
    """Lines per second over the last minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._seconds: deque[list[float]] = deque()

    def count(self) -> None:
        """A line is done."""
        second = self._clock() // 1.0
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1][1] += 1
        else:
            self._seconds.append([second, 1])
        self._forget()

    @property
    def per_second(self) -> float:
        """0 before the first one."""
        self._forget()
        elapsed = min(max(self._clock() - self._began, 1.0), WINDOW_SECONDS)
        return sum(lines for _, lines in self._seconds) / elapsed

    def _forget(self) -> None:
        while self._seconds and self._seconds[0][0] < self._clock() - WINDOW_SECONDS:
            self._seconds.popleft()


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
