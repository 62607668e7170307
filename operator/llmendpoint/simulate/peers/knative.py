"""Knative's KPA: concurrency over a stable and a panic window.

Source: knative/serving, pkg/autoscaler/scaling/autoscaler.go (commit 00a4a55) and
config/core/configmaps/autoscaler.yaml. The totals are over all pods and the activator's queue.
"""

import math
from dataclasses import dataclass

from llmendpoint.simulate.peers.peer import Bounds
from llmendpoint.simulate.peers.windows import Growth, Window
from llmendpoint.simulate.policy import Order, View


@dataclass(frozen=True)
class KnativeSettings:
    """config-autoscaler and a revision's annotations. Windows in seconds."""

    container_concurrency_target: float = 100.0
    target_utilization: float = 0.7
    stable_window: float = 60.0
    panic_window: float = 6.0
    """panic-window-percentage 10."""
    panic_threshold: float = 2.0
    max_scale_up_rate: float = 1000.0
    max_scale_down_rate: float = 2.0
    scale_down_delay: float = 0.0
    scale_to_zero_grace_period: float = 30.0
    metric_delay: float = 2.0

    @property
    def target_value(self) -> float:
        """Requests in flight per pod that it aims at."""
        return self.container_concurrency_target * self.target_utilization


class Autoscaler:
    """The decision without its metrics. With more than one pod ready it starts in panic, so that it keeps its size
    until there is data."""

    def __init__(self, settings: KnativeSettings, ready: int) -> None:
        self._settings = settings
        self._panic_time = 0.0 if ready > 1 else None
        self._max_panic_pods = ready
        self._delay = Window(settings.scale_down_delay) if settings.scale_down_delay > 0 else None

    @property
    def panics(self) -> bool:
        """Whether it may only scale up."""
        return self._panic_time is not None

    def scale(self, now: float, ready: int, stable: float, panic: float) -> int:
        """Pods for the mean concurrency of both windows."""
        settings = self._settings
        pods = max(ready, 1)
        least = math.floor(pods / settings.max_scale_down_rate)
        most = math.ceil(pods * settings.max_scale_up_rate)
        wanted_panic = math.ceil(panic / settings.target_value)
        desired = min(max(math.ceil(stable / settings.target_value), least), most)
        if wanted_panic / pods >= settings.panic_threshold:
            self._panic_time = now
        elif self._panic_time is not None and self._panic_time + settings.stable_window < now:
            self._panic_time, self._max_panic_pods = None, 0
        if self._panic_time is not None:
            self._max_panic_pods = max(self._max_panic_pods, desired, min(max(wanted_panic, least), most))
            desired = self._max_panic_pods
        if self._delay is not None:
            self._delay.add(now, desired)
            desired = int(self._delay.most)
        return desired


class Knative:
    """The autoscaler, its metric collector, and scaling to zero."""

    name = "knative"
    period = 2.0
    """tick-interval."""

    def __init__(self, settings: KnativeSettings, bounds: Bounds) -> None:
        self._settings = settings
        self._bounds = bounds
        self.metric_delay = settings.metric_delay
        self._autoscaler = Autoscaler(settings, 0)
        self._stable = Growth(settings.stable_window)
        self._panic = Growth(settings.panic_window)
        self._zero_since: float | None = None

    def start(self, replicas: int) -> None:
        """The autoscaler starts, or was restarted, with so many pods."""
        self._autoscaler = Autoscaler(self._settings, replicas)

    def order(self, view: View) -> Order:
        """Mean concurrency of both windows from the growth of request-seconds. No data, no change."""
        if view.proxy is not None:
            self._stable.add(view.proxy.taken_at, view.proxy.in_flight_seconds_total)
            self._panic.add(view.proxy.taken_at, view.proxy.in_flight_seconds_total)
        stable, panic = self._stable.rate, self._panic.rate
        if view.proxy is None or stable is None or panic is None:
            return Order(self._bounds.clamp(view.replicas.ordered), "no metrics yet")
        desired = self._autoscaler.scale(view.now, view.replicas.ready, stable, panic)
        mode = "panic" if self._autoscaler.panics else "stable"
        return Order(
            self._bounds.clamp(self._grace(view.now, desired, view.replicas.ordered)),
            f"concurrency {stable:.3g} stable, {panic:.3g} panic / target {self._settings.target_value:g}, {mode}",
        )

    def _grace(self, now: float, desired: int, current: int) -> int:
        """The last pod stays for the grace period."""
        if desired > 0 or current == 0:
            self._zero_since = None
            return desired
        if self._zero_since is None:
            self._zero_since = now
        return 0 if now - self._zero_since >= self._settings.scale_to_zero_grace_period else 1
