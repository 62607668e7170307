"""Ray Serve: ongoing requests by a target, repeated for a delay before it acts.

Source: ray-project/ray, python/ray/serve/autoscaling_policy.py (commit 00590c4) and the defaults of
ray.serve.config.AutoscalingConfig. The controller looks each 0.1 s at numbers that are pushed each 10 s; here
it looks each 10 s, and counts the delays in looks as it does.
"""

import math
from dataclasses import dataclass

from llmendpoint.simulate.peers.peer import Bounds
from llmendpoint.simulate.peers.windows import Growth
from llmendpoint.simulate.policy import Order, View


@dataclass(frozen=True)
class RayServeSettings:
    """autoscaling_config. Times in seconds."""

    target_ongoing_requests: float = 2.0
    upscale_delay: float = 30.0
    downscale_delay: float = 600.0
    look_back_period: float = 30.0
    upscaling_factor: float = 1.0
    downscaling_factor: float = 1.0
    interval: float = 10.0
    """metrics_interval_s, and of the looks."""
    metric_delay: float = 5.0
    """Mean age of a number that is pushed each 10 s."""


class RayServe:
    """The deployment's autoscaling state. Requests are counted by the handles: queued ones are in."""

    name = "ray-serve"

    def __init__(self, settings: RayServeSettings, bounds: Bounds) -> None:
        self._settings = settings
        self._bounds = bounds
        self.period = settings.interval
        self.metric_delay = settings.metric_delay
        self._ongoing = Growth(settings.look_back_period)
        self._decisions = 0
        """In a row, negative ones for less."""

    def start(self, replicas: int) -> None:
        """It keeps nothing over a restart."""

    def order(self, view: View) -> Order:
        """Mean of the ongoing requests over the look-back period; no data, no change."""
        target, running = view.replicas.ordered, view.replicas.ready
        if view.proxy is not None:
            self._ongoing.add(view.proxy.taken_at, view.proxy.in_flight_seconds_total)
        ongoing = self._ongoing.rate
        if view.proxy is None or ongoing is None:
            return Order(self._bounds.clamp(target), "no metrics yet")
        if target == 0:
            return Order(self._bounds.clamp(math.ceil(min(ongoing, 1.0))), "scale from zero")
        if running == 0:
            return Order(self._bounds.clamp(target), "no replica runs")
        desired = self._bounds.clamp(self.desired(running, ongoing))
        return Order(
            self._delay(target, desired),
            f"{ongoing:.3g} ongoing / target {self._settings.target_ongoing_requests:g} -> {desired}",
        )

    def desired(self, running: int, ongoing: float) -> int:
        """Replicas before bounds and delays."""
        wanted = ongoing / self._settings.target_ongoing_requests
        up = wanted > running
        factor = self._settings.upscaling_factor if up else self._settings.downscaling_factor
        scaled = math.ceil(running + factor * (wanted - running))
        # A factor below 1 shall not keep it where it is.
        return scaled - 1 if math.ceil(wanted) < running == scaled else scaled

    def _delay(self, target: int, desired: int) -> int:
        """Act on a decision that was the same for longer than its delay."""
        if desired == target:
            self._decisions = 0
        elif desired > target:
            self._decisions = max(self._decisions, 0) + 1
            if self._decisions > int(self._settings.upscale_delay / self._settings.interval):
                self._decisions = 0
                return desired
        else:
            self._decisions = min(self._decisions, 0) - 1
            if -self._decisions > int(self._settings.downscale_delay / self._settings.interval):
                self._decisions = 0
                return max(desired, 1) if target > 1 else desired
        return target
