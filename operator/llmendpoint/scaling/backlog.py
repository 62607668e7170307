"""Replicas for what piles up while others start.

A request that waits in an engine stays there: a new replica does not shorten the queue of an old one, it takes what
comes later. So a queue asks for replicas in place of those that are taken up by it, and not for as many as would have
cleared it together.
"""

from collections.abc import Sequence

from llmendpoint.scaling.signals import Queue

# What piled up during a start is cleared in half the time of another one.
CLEARED_IN_STARTS = 0.5


def backlog_replicas(
    mean: float,
    steady: float,
    ready: int,
    queues: Sequence[Queue],
    *,
    request_seconds: float,
    cold_start: float,
    coming: int | None,
) -> float:
    """Replicas that the backlog asks for; 0 where there is none.

    Args:
        mean: demand in replicas.
        steady: mean demand of two minutes: what comes after a short burst is not cleared by those ordered for it.
        ready: replicas that serve.
        queues: of those of them that have one.
        request_seconds: replica-seconds of one request.
        cold_start: seconds until what is ordered now is ready.
        coming: replicas ordered, while some of them start: the queue grows by itself then, and asks for no more.
    """
    # By the time that replicas are ready, what is short of demand has piled up for a cold start.
    piling = max(steady - ready, 0.0) / CLEARED_IN_STARTS
    taken = taken_up(queues, request_seconds, cold_start)
    if coming is not None:
        taken = min(taken, max(coming - mean, 0.0))
    return mean + max(piling, taken) if piling or taken else 0.0


def taken_up(queues: Sequence[Queue], request_seconds: float, cold_start: float) -> float:
    """Replicas that serve nobody who comes until a start is over, since their queue outlasts it."""
    return sum(min(queue.waiting * request_seconds / cold_start, 1.0) for queue in queues)
