"""How fast this core runs Python just now: a bare loop, timed beside what is measured.

Cores differ threefold, and a shared one from minute to minute. A bar in seconds means a core on which a turn of the
loop takes REFERENCE_SECONDS; on another one a time counts by the turns that fit into it.
"""

import time

# CPython 3.11 on a server's core of about 3 GHz that nobody else uses.
REFERENCE_SECONDS = 40e-9
TURNS = 50_000


def turn() -> float:
    """Seconds of processor time for one turn of the loop."""
    total, started = 0, time.process_time()
    for number in range(TURNS):
        total += number
    return (time.process_time() - started) / TURNS


def at_reference(seconds: float, turns: list[float]) -> float:
    """What a time would have been on the reference core, by the turns measured beside it."""
    return seconds * REFERENCE_SECONDS / (sum(turns) / len(turns))
