"""The table of all measurements, in the order in which they run."""

from collections.abc import Awaitable, Callable

from bench import creation, edits, idle, manifests, parser, placements, prometheus, replay, scaler, tick
from bench.figures import Figure
from bench.run import Run

MEASUREMENTS: dict[str, Callable[[Run], Awaitable[list[Figure]]]] = {
    "scaler": scaler.measure,
    "replay": replay.measure,
    "parser": parser.measure,
    "manifests": manifests.measure,
    "tick": tick.measure,
    "prometheus": prometheus.measure,
    # These share a cluster, and the endpoints that creation leaves.
    "creation": creation.measure,
    "edits": edits.measure,
    "idle": idle.measure,
    # This one has a cluster of its own, with a node.
    "placements": placements.measure,
}
# Those whose work grows with the number of endpoints, which scrape pods of addresses that only the benchmark's own
# network has; and those of them that need a cluster.
SIZED = ISOLATED = frozenset({"tick", "prometheus", "creation", "edits", "idle"})
CLUSTERED = frozenset({"creation", "edits", "idle"})
