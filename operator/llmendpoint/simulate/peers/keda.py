"""KEDA: an external metric of target type AverageValue through an HPA, and scaling to and from zero by itself.

Source: keda-docs, content/docs/2.17/reference/scaledobject-spec.md; the HPA is that of Kubernetes. The trigger is a
Prometheus query for the requests in flight at the gateway, those included that it holds.
"""

from dataclasses import dataclass

from llmendpoint.simulate.peers.hpa import SYNC_PERIOD_SECONDS, TOLERANCE, replicas_for_average_value
from llmendpoint.simulate.peers.hpa_behavior import DEFAULT, Behavior, BehaviorPipeline
from llmendpoint.simulate.peers.peer import Bounds
from llmendpoint.simulate.policy import Order, View


@dataclass(frozen=True)
class KedaSettings:
    """A ScaledObject with one Prometheus trigger."""

    threshold: float = 2.0
    """Requests in flight per replica."""
    activation_threshold: float = 0.0
    polling_interval: float = 30.0
    """Seconds between two looks while there is no replica."""
    cooldown_period: float = 300.0
    """Seconds from the last active look to zero replicas. It has no say above one."""
    behavior: Behavior = DEFAULT
    tolerance: float = TOLERANCE
    metric_delay: float = 15.0
    """Mean age of a sample that Prometheus scrapes each 30 s."""


class Keda:
    """The ScaledObject's controller and its HPA, which asks for the metric at each sync."""

    name = "keda"
    period = SYNC_PERIOD_SECONDS

    def __init__(self, settings: KedaSettings, bounds: Bounds) -> None:
        self._settings = settings
        self._bounds = bounds
        self.metric_delay = settings.metric_delay
        self._pipeline = BehaviorPipeline(settings.behavior, bounds.without_zero)
        self._last_active = 0.0
        self._last_poll = 0.0

    def start(self, replicas: int) -> None:
        """Take the present size as the HPA's first recommendation."""
        self._pipeline.start(0.0, replicas)

    def order(self, view: View) -> Order:
        """From zero by activation, to zero by the cooldown, in between by the HPA."""
        current = view.replicas.ordered
        if view.proxy is None:
            return Order(self._bounds.clamp(current), "the trigger's query failed")
        total = float(view.proxy.in_flight)
        active = total > self._settings.activation_threshold
        if active:
            self._last_active = view.now
        if current == 0:
            return Order(self._activate(view.now, active), "activation")
        if self._bounds.least == 0 and view.now - self._last_active >= self._settings.cooldown_period:
            return Order(0, f"no activity for {self._settings.cooldown_period:g} s")
        recommendation = replicas_for_average_value(
            total, current=current, target=self._settings.threshold, tolerance=self._settings.tolerance
        )
        return Order(
            self._pipeline.apply(view.now, current, recommendation),
            f"{total:g} in flight / threshold {self._settings.threshold:g} -> {recommendation}",
        )

    def _activate(self, now: float, active: bool) -> int:
        """One look per polling interval."""
        if now - self._last_poll < self._settings.polling_interval:
            return 0
        self._last_poll = now
        return self._bounds.without_zero.least if active else 0
