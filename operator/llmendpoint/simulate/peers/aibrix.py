"""AIBrix' two autoscalers, APA and KPA, on the KV cache usage of its samples.

Source: vllm-project/aibrix, pkg/controller/podautoscaler (commit e3e10f9): algorithm/apa.go, algorithm/kpa.go,
context/context.go, metrics/client.go, podautoscaler_controller.go. Three things are as read there, and carried over:
the KPA divides the mean per pod by the target without multiplying by the pods; the scale-down cooldown takes the
smallest recommendation of its window; the APA multiplies all replicas, those that start included, by the mean of
those that answer.
"""

import math
from dataclasses import dataclass
from typing import Literal

from llmendpoint.simulate.peers.peer import Bounds
from llmendpoint.simulate.peers.windows import Window
from llmendpoint.simulate.policy import Order, View

Strategy = Literal["APA", "KPA"]


@dataclass(frozen=True)
class AibrixSettings:
    """A PodAutoscaler with one metric source of type pod. Windows in seconds."""

    target: float = 0.5
    """targetValue of kv_cache_usage_perc, 0 to 1, mean per pod."""
    stable_window: float = 180.0
    panic_window: float = 60.0
    panic_threshold: float = 2.0
    max_scale_up_rate: float = 2.0
    max_scale_down_rate: float = 2.0
    up_tolerance: float = 0.1
    down_tolerance: float = 0.1
    scale_up_cooldown: float = 0.0
    scale_down_cooldown: float = 300.0


class Aibrix:
    """The controller with one of its strategies; it reads the pods itself, each 10 s."""

    period = 10.0
    metric_delay = 0.0

    def __init__(self, strategy: Strategy, settings: AibrixSettings, bounds: Bounds) -> None:
        self.name = f"aibrix-{strategy.lower()}"
        self._strategy = strategy
        self._settings = settings
        self._bounds = bounds.without_zero
        self._stable = Window(settings.stable_window)
        self._panic = Window(settings.panic_window)
        self._cooldown = Cooldown(settings)

    def start(self, replicas: int) -> None:
        """It keeps nothing over a restart."""

    def order(self, view: View) -> Order:
        """Mean over the pods that answered, mean over the windows, strategy, cooldown. No answer, no change."""
        current = view.replicas.ordered
        usages = [pod.sample.kv_usage for pod in view.ready if pod.sample is not None]
        known = [usage for usage in usages if usage is not None]
        if not known:
            return Order(self._bounds.clamp(current), "no pod answered")
        mean = sum(known) / len(known)
        self._stable.add(view.now, mean)
        self._panic.add(view.now, mean)
        if self._strategy == "APA":
            recommendation = apa(self._settings, current, self._stable.mean)
        else:
            recommendation = kpa(self._settings, current, self._stable.mean, self._panic.mean)
        recommendation = self._bounds.clamp(recommendation)
        return Order(
            self._bounds.clamp(self._cooldown.filter(view.now, current, recommendation)),
            f"KV usage {self._stable.mean:.3g} / target {self._settings.target:g} -> {recommendation}",
        )


def apa(settings: AibrixSettings, current: int, usage: float) -> int:
    """Replicas in proportion to the usage per pod, at most twice and at least half as many."""
    ratio = usage / settings.target
    if ratio > 1.0 + settings.up_tolerance:
        return min(math.ceil(current * ratio), math.ceil(current * settings.max_scale_up_rate))
    if ratio < 1.0 - settings.down_tolerance:
        return max(math.ceil(current * ratio), math.floor(current / settings.max_scale_down_rate))
    return current


def kpa(settings: AibrixSettings, current: int, stable: float, panic: float) -> int:
    """Values by the target, as if they were totals; in panic the larger of both windows'."""

    def wanted(value: float) -> int:
        ratio = value / settings.target
        outside = ratio > 1.0 + settings.up_tolerance or ratio < 1.0 - settings.down_tolerance
        least = math.floor(current / settings.max_scale_down_rate)
        most = max(1, math.ceil(current * settings.max_scale_up_rate))
        return min(max(math.ceil(ratio) if outside else current, least), most)

    panics = stable <= 0.0 or panic / stable > settings.panic_threshold
    return max(wanted(stable), wanted(panic)) if panics else wanted(stable)


class Cooldown:
    """stabilizeRecommendation: the largest recent recommendation on the way up, the smallest on the way down."""

    def __init__(self, settings: AibrixSettings) -> None:
        self._up = Window(settings.scale_up_cooldown)
        self._down = Window(settings.scale_down_cooldown)

    def filter(self, now: float, current: int, recommendation: int) -> int:
        """The size to set."""
        self._up.add(now, recommendation)
        self._down.add(now, recommendation)
        if recommendation == current:
            return current
        return int(self._up.most if recommendation > current else self._down.least)
