"""What is done stays done, also where two workers of one shard write by turns."""

import random

from hypothesis import given
from hypothesis import strategies as st

from batchworker.ledger import Ledger, Mark

STEPS = 10_000
Written = list[tuple[Mark, list[int]]]


def test_a_line_is_done_when_it_was_finished_and_not_when_it_was_begun() -> None:
    ledger = Ledger(Mark(0))
    assert ledger.begin(0, 10)
    assert ledger.begin(10, 30)
    assert ledger.finish(10)
    assert (ledger.mark.has(0), ledger.mark.has(10), ledger.mark.has(30)) == (False, True, False)
    assert ledger.mark.first == 0


def test_who_goes_on_begins_what_was_open_and_passes_over_what_was_done() -> None:
    ledger = Ledger(Mark(30, frozenset({0})))
    assert [ledger.begin(line, line + 10) for line in (0, 10, 20, 30)] == [True, False, False, True]


class Rival:
    """One of the workers of a shard of so many lines, each ten bytes long."""

    def __init__(self, written: Written, lines: int) -> None:
        mark = written[-1][0] if written else Mark(0)
        self.ledger = Ledger(mark)
        self.ahead = iter(range(mark.first, lines * 10, 10))
        self.asked: list[int] = []
        self.unwritten: list[int] = []
        self.read = len(written)
        self.exhausted = False

    @property
    def is_done(self) -> bool:
        return self.exhausted and not self.ledger.mark.open and not self.unwritten

    def begin(self) -> None:
        line = next(self.ahead, None)
        self.exhausted = line is None
        if line is not None and self.ledger.begin(line, line + 10):
            self.asked.append(line)

    def finish(self, chance: random.Random) -> None:
        if self.asked:
            line = self.asked.pop(chance.randrange(len(self.asked)))
            if self.ledger.finish(line):
                self.unwritten.append(line)

    def write(self, written: Written) -> None:
        for mark, _ in written[self.read :]:
            self.ledger.adopt(mark)
            self.unwritten = [line for line in self.unwritten if not mark.has(line)]
        if self.unwritten:
            written.append((self.ledger.mark, self.unwritten))
            self.unwritten = []
        self.read = len(written)


@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 3))
def test_rivals_that_are_killed_and_come_again_write_every_line_once(seed: int, lines: int, count: int) -> None:
    chance = random.Random(seed)
    written: Written = []
    rivals = [Rival(written, lines) for _ in range(count)]
    for _ in range(STEPS):
        index = chance.randrange(count)
        rival = rivals[index]
        what = chance.random()
        if what < 0.02:
            rivals[index] = Rival(written, lines)
        elif what < 0.4:
            rival.begin()
        elif what < 0.8:
            rival.finish(chance)
        else:
            rival.write(written)
        if rival.is_done:
            break
    assert sorted(line for _, some in written for line in some) == list(range(0, lines * 10, 10))
