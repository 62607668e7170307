"""KubeAI: the mean of requests in flight at its proxy over ten minutes.

Source: substratusai/kubeai (commit 2f32ef4), internal/modelautoscaler/autoscaler.go, internal/modelclient/scale.go and
internal/config/system.go. The state's ConfigMap is taken to hold what the first reading shows, as after a restart.
"""

import math
from dataclasses import dataclass

from llmendpoint.simulate.peers.peer import Bounds
from llmendpoint.simulate.peers.windows import Window
from llmendpoint.simulate.policy import Order, View


@dataclass(frozen=True)
class KubeAiSettings:
    """A Model's spec and modelAutoscaling of the system's configuration. Times in seconds."""

    target_requests: float = 100.0
    scale_down_delay: float = 30.0
    interval: float = 10.0
    time_window: float = 600.0

    @property
    def required_scale_downs(self) -> int:
        """Decisions in a row that must ask for less before one is carried out."""
        return math.ceil(self.scale_down_delay / self.interval)


class KubeAi:
    """The autoscaler's loop. From zero it scales at the first request; here at the next interval."""

    name = "kubeai"
    metric_delay = 0.0
    """It reads its own proxies."""

    def __init__(self, settings: KubeAiSettings, bounds: Bounds) -> None:
        self._settings = settings
        self._bounds = bounds
        self.period = settings.interval
        self._requests = Window(settings.time_window)
        self._filled = False
        self._scale_downs = 0

    def start(self, replicas: int) -> None:
        """Nothing: the first reading fills the window."""

    def order(self, view: View) -> Order:
        """Up at once, down after enough decisions in a row."""
        current = view.replicas.ordered
        if view.proxy is None:
            return Order(self._bounds.clamp(current), "no metrics of the proxy")
        self._add(view.now, view.proxy.in_flight)
        if current == 0:
            return Order(self._bounds.clamp(min(view.proxy.in_flight, 1)), "scale from zero")
        mean = self._requests.mean
        wanted = self._bounds.clamp(math.ceil(mean / self._settings.target_requests))
        return Order(
            self._scale(current, wanted), f"mean {mean:.3g} in flight / target {self._settings.target_requests:g}"
        )

    def _add(self, now: float, in_flight: int) -> None:
        if not self._filled:
            steps = round(self._settings.time_window / self._settings.interval)
            for step in range(steps - 1, 0, -1):
                self._requests.add(now - step * self._settings.interval, in_flight)
            self._filled = True
        self._requests.add(now, in_flight)

    def _scale(self, current: int, wanted: int) -> int:
        """The count of lower decisions begins anew with one that is not lower, but not with a scale-down."""
        if wanted >= current:
            self._scale_downs = 0
            return wanted
        if self._scale_downs < self._settings.required_scale_downs:
            self._scale_downs += 1
            return current
        return wanted
