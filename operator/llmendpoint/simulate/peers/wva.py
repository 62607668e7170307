"""llm-d's Workload Variant Autoscaler around its analysers: what it reads, its loop, and the HPA that acts for it.

Source: llm-d/llm-d-workload-variant-autoscaler (commit b08b1c7), internal/engines/saturation/engine.go and the sample
HPA: External metric wva_desired_replicas, averageValue 1. Such an HPA ignores what lies within its tolerance: above
ten replicas one step more or less is not carried out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from llmendpoint.simulate.peers.hpa import SYNC_PERIOD_SECONDS, TOLERANCE, replicas_for_average_value
from llmendpoint.simulate.peers.hpa_behavior import Behavior, BehaviorPipeline, RateLimit, Rules
from llmendpoint.simulate.peers.peer import Bounds
from llmendpoint.simulate.peers.windows import Window
from llmendpoint.simulate.policy import Order, View

TEN_PODS = Rules(0.0, (RateLimit("Pods", 10, 15.0),))
SAMPLE_BEHAVIOR = Behavior(TEN_PODS, TEN_PODS)


@dataclass(frozen=True)
class WvaSettings:
    """What both analysers have around them. Times in seconds."""

    interval: float = 30.0
    """Of the engine's loop."""
    metric_window: float = 60.0
    """Of max_over_time."""
    metric_delay: float = 15.0
    """Mean age of a sample that Prometheus scrapes each 30 s."""
    behavior: Behavior = SAMPLE_BEHAVIOR
    tolerance: float = TOLERANCE


@dataclass(frozen=True)
class ReplicaLoad:
    """The largest values of one replica over the last minute."""

    kv_usage: float
    waiting: float


class Analyzer(Protocol):
    """One of the saturation analysers."""

    def target(self, loads: Sequence[ReplicaLoad], view: View, published: int | None) -> int | None:
        """Replicas to publish; None leaves what is published.

        Args:
            loads: of the ready replicas that have metrics.
            published: desired replicas of the last look.
        """
        ...


class Wva:
    """The controller and its HPA, seen at the HPA's syncs."""

    period = SYNC_PERIOD_SECONDS

    def __init__(self, name: str, analyzer: Analyzer, settings: WvaSettings, bounds: Bounds) -> None:
        self.name = name
        self.metric_delay = settings.metric_delay
        self._analyzer = analyzer
        self._settings = settings
        self._bounds = bounds.without_zero
        self._pipeline = BehaviorPipeline(settings.behavior, self._bounds)
        self._windows: dict[str, tuple[Window, Window]] = {}
        self._next_look = 0.0
        self._published: int | None = None

    def start(self, replicas: int) -> None:
        """Take the present size as the HPA's first recommendation."""
        self._pipeline.start(0.0, replicas)

    def order(self, view: View) -> Order:
        """Collect, look each second time, let the HPA follow."""
        loads = self._collect(view)
        current = view.replicas.ordered
        if view.now >= self._next_look:
            self._next_look = view.now + self._settings.interval
            target = self._analyzer.target(loads, view, self._published) if loads else None
            if target is not None:
                self._published = self._bounds.clamp(target)
        if self._published is None or current == 0:
            return Order(self._bounds.clamp(current), "nothing published yet")
        recommendation = replicas_for_average_value(
            self._published, current=current, target=1.0, tolerance=self._settings.tolerance
        )
        return Order(self._pipeline.apply(view.now, current, recommendation), f"desired {self._published}")

    def _collect(self, view: View) -> list[ReplicaLoad]:
        samples = {pod.pod: pod.sample for pod in view.ready if pod.sample is not None}
        self._windows = {pod: windows for pod, windows in self._windows.items() if pod in samples}
        loads = []
        for pod, sample in samples.items():
            seconds = self._settings.metric_window
            usage, waiting = self._windows.setdefault(pod, (Window(seconds), Window(seconds)))
            usage.add(view.now, sample.kv_usage or 0.0)
            waiting.add(view.now, sample.waiting)
            loads.append(ReplicaLoad(usage.most, waiting.most))
        return loads
