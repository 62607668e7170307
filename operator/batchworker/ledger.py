"""Which lines of a shard are done: a few numbers that are written with every chunk, and that can take over another's.

A line is named by the offset at which it begins. Lines are begun in order and end in any: what is done is everything
before an offset, but for the few lines that are still open.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mark:
    """What is done at one moment."""

    next: int
    """Lines from this offset on have not been begun."""
    open: frozenset[int] = frozenset()
    """Begun before and not done."""

    def has(self, line: int) -> bool:
        """Whether a line is done."""
        return line < self.next and line not in self.open

    @property
    def first(self) -> int:
        """The first line that is not done."""
        return min(self.open, default=self.next)


class Ledger:
    """A mark that goes on.

    Args:
        mark: what is done already.
    """

    def __init__(self, mark: Mark) -> None:
        self._next = mark.next
        self._open = set(mark.open)

    @property
    def mark(self) -> Mark:
        """What is done now."""
        return Mark(self._next, frozenset(self._open))

    def begin(self, line: int, end: int) -> bool:
        """Take the next line. False where it is done.

        Args:
            end: where the line after it begins.
        """
        if line < self._next:
            return line in self._open
        self._open.add(line)
        self._next = end
        return True

    def finish(self, line: int) -> bool:
        """A line is done. False where another worker of this shard has done it meanwhile."""
        if line not in self._open:
            return False
        self._open.remove(line)
        return True

    def adopt(self, other: Mark) -> None:
        """Take what another worker of the same shard has written for done, on top of what both had read before."""
        still = {line for line in self._open if not other.has(line)}
        ahead = {line for line in other.open if line >= self._next}
        self._open = still | ahead
        self._next = max(self._next, other.next)
