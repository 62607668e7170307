"""How many replicas keep waits short: heavy-traffic queueing."""

import math

# How full batch slots and KV cache may be planned where they are all that is known.
FULL = 0.85
# Variance of the work that arrives, by that of Poisson arrivals of equal requests: real requests differ in length and
# come in clumps. 1.3 to 2 was measured on steady traces; the learned correction does the rest.
DISPERSION = 2.0


def replicas_for(demand: float, request_seconds: float, objective: float, late: float) -> float:
    """Replicas that make all but a share of requests wait no longer than an objective.

    Work of D replica-seconds per second arrives with a variance of V = 2 D c per second and queues behind N replicas:
    a reflected Brownian motion with drift D - N, whose stationary law is exponential. A wait of T is a queue of N T,

        P(wait > T) = exp(-2 N T (N - D) / V),  so  N = D / 2 + sqrt(D^2 / 4 + V ln(1 / late) / (2 T)).

    J. M. Harrison, Brownian Motion and Stochastic Flow Systems (1985), chapter 5.

    Args:
        demand: D, the replicas that the offered work keeps busy.
        request_seconds: c, replica-seconds of one request.
        objective: T in seconds, above 0.
        late: share of requests that may wait longer, in (0, 1).
    """
    variance = _variance(demand, request_seconds)
    return demand / 2.0 + math.sqrt(demand * demand / 4.0 + variance * math.log(1.0 / late) / (2.0 * objective))


def deviation(demand: float, request_seconds: float, seconds: float) -> float:
    """Standard deviation of the mean demand of so many seconds, in replicas.

    Args:
        demand: D, the mean over a long time.
        request_seconds: c, replica-seconds of one request.
    """
    return math.sqrt(_variance(demand, request_seconds) / seconds)


def _variance(demand: float, request_seconds: float) -> float:
    """Of the work that arrives, per second."""
    return DISPERSION * demand * request_seconds
