"""What the command line says."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.figures import Figure
from localcluster.paths import ROOT


class Skipped(Exception):
    """A measurement can not be made here; the message says what it needs.

    Args:
        figures: what had been measured by then.
    """

    def __init__(self, reason: str, figures: Sequence[Figure] = ()) -> None:
        super().__init__(reason)
        self.figures = figures


@dataclass(frozen=True)
class Options:
    """What is measured, and on how much."""

    only: tuple[str, ...]
    sizes: tuple[int, ...]
    """Numbers of endpoints, measured one after the other."""
    endpoints: int
    """The one of them that is measured now."""
    replicas: tuple[int, int]
    """Replicas per endpoint: as many endpoints have each number of this range."""
    rounds: int
    """How often creation is repeated, each time side by side."""
    idle_seconds: float
    longest: float
    """Seconds after which a phase is given up, with what it had reached."""
    output: Path

    def at(self, size: int) -> "Options":
        """The same at another number of endpoints."""
        return replace(self, endpoints=size)

    def replicas_of(self, index: int) -> int:
        """Replicas of the endpoint of that number."""
        low, high = self.replicas
        return low + index % (high - low + 1)


def parse(arguments: Sequence[str], measurements: Sequence[str]) -> Options:
    """Read the command line. Exits with a usage message where it is not understood."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure the product against its bars.")
    parser.add_argument("--only", nargs="+", choices=measurements, default=list(measurements), metavar="NAME",
                        help=f"of {', '.join(measurements)}")  # fmt: skip
    parser.add_argument("--endpoints", nargs="+", type=_positive, default=[100], metavar="N",
                        help="numbers of endpoints, measured one after the other; the bars are for 1000")  # fmt: skip
    parser.add_argument("--replicas", type=_range, default=(4, 4), metavar="LOW-HIGH", help="replicas per endpoint")
    parser.add_argument("--rounds", type=_positive, default=3, help="repetitions of the creation")
    parser.add_argument("--idle-seconds", type=float, default=60.0, help="how long idleness is watched")
    parser.add_argument("--longest", type=float, default=600.0, help="seconds after which a phase is given up")
    parser.add_argument("--output", type=Path, default=ROOT / "bench.json", help="where the JSON goes")
    given = vars(parser.parse_args(arguments))
    sizes = tuple(given["endpoints"])
    return Options(**given | {"only": tuple(given["only"]), "sizes": sizes, "endpoints": sizes[0]})


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _range(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    first, last = _positive(low), _positive(high or low)
    if last < first:
        raise argparse.ArgumentTypeError("the first number must not be above the second")
    return first, last
