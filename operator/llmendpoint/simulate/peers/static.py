"""A fixed number of replicas: what autoscaling is worth is told by it."""

from llmendpoint.simulate.peers.peer import Bounds
from llmendpoint.simulate.policy import Order, View


class Static:
    """So many replicas, always.

    Args:
        replicas: 0 keeps those that the replay begins with.
    """

    name = "static"
    period = 10.0
    metric_delay = 0.0

    def __init__(self, replicas: float, bounds: Bounds) -> None:
        self._replicas = round(replicas)
        self._bounds = bounds

    def start(self, replicas: int) -> None:
        """Nothing to remember."""

    def order(self, view: View) -> Order:
        """The same at all times."""
        return Order(self._bounds.clamp(self._replicas or view.replicas.ordered), "fixed")
