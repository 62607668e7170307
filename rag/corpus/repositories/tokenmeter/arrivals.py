"""When the next request is sent: a Poisson process, so that bursts happen as they do in life."""

import random
from collections.abc import Iterator


def arrivals(rate_per_second: float, seed: int) -> Iterator[float]:
    """Moments in seconds from the start, with exponentially distributed gaps between them."""
    chance = random.Random(seed)
    moment = 0.0
    while True:
        moment += chance.expovariate(rate_per_second)
        yield moment
