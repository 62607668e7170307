"""How long a replica takes to become ready, learned from the last ones."""

from collections.abc import Sequence
from functools import lru_cache
from statistics import median

from llmendpoint.api.status import ColdStart

# A 7-8 B model from a filled cache with torch.compile: 45 to 105 s were measured on real engines.
ASSUMED_SECONDS = 105.0
# Times of the API server are whole seconds, so that a pod may be ready in the one in which it was created.
SHORTEST_SECONDS = 1.0
# Each tick of each endpoint asks several times, and starts are rare.
ENDPOINTS_KEPT = 4096


@lru_cache(ENDPOINTS_KEPT)
def cold_start_seconds(starts: tuple[float, ...]) -> float:
    """The start time to plan with: the learned median, or a usual value while nothing was learned."""
    return max(median(starts), SHORTEST_SECONDS) if starts else ASSUMED_SECONDS


def summary(starts: Sequence[float]) -> ColdStart | None:
    """What status says about start times; None while nothing was learned."""
    if not starts:
        return None
    ordered = sorted(starts)
    p90 = ordered[min(int(0.9 * len(ordered)), len(ordered) - 1)]
    return ColdStart(p50=round(median(ordered), 1), p90=round(p90, 1), samples=len(ordered))
