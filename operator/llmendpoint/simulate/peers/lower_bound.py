"""What no plan pays less than, under the engine model's own iteration time."""

import numpy as np

from llmendpoint.simulate.peers.work import Work


def lower_bound(work: Work, duration: float, *, least: int, missed: float = 0.0) -> float:
    """Replica-seconds that every policy pays which never goes below ``least`` and serves all but a share of requests.

    Proven: ``least`` replicas, busy as soon as there is something to do, leave some work at the end, and others must do
    it. A share of the requests may never be served; the costliest ones are taken off, wherever they are. The bound is
    not tight: starts cost nothing here, replicas come in fractions, and nobody is in a hurry.

    Args:
        work: as of ``least_work``.
        duration: seconds of the replay.
        least: replicas that are always there.
        missed: share of the requests that may never be served, 0 to 1.
    """
    always = least * duration
    count = len(work.seconds)
    if not count:
        return always
    later = np.cumsum(work.seconds[::-1])[::-1]
    unserved = float(np.sort(work.seconds)[count - int(missed * count) :].sum())
    left = float(np.max(later - least * (duration - work.arrivals)))
    return always + max(left - unserved, 0.0)
