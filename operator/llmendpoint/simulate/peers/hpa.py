"""Kubernetes' HorizontalPodAutoscaler, autoscaling/v2, on requests in flight per pod.

Source: pkg/controller/podautoscaler/replica_calculator.go, calcPlainMetricReplicas and
GetExternalPerPodMetricReplicas (1.22, commit 0006726).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llmendpoint.scaling.signals import PodPhase
from llmendpoint.simulate.peers.hpa_behavior import DEFAULT, Behavior, BehaviorPipeline
from llmendpoint.simulate.peers.peer import Bounds
from llmendpoint.simulate.policy import Order, View

TOLERANCE = 0.1
"""--horizontal-pod-autoscaler-tolerance."""
SYNC_PERIOD_SECONDS = 15.0
"""--horizontal-pod-autoscaler-sync-period."""


@dataclass(frozen=True)
class HpaSettings:
    """An HPA with one metric of type Pods."""

    target: float = 4.0
    """averageValue: requests running and waiting per pod."""
    behavior: Behavior = DEFAULT
    tolerance: float = TOLERANCE
    metric_delay: float = 15.0
    """Mean age of a sample that Prometheus scrapes each 30 s, as kube-prometheus-stack does."""


class Hpa:
    """The autoscaler of ``spec.replicas``. A pod that starts has no metric: it damps a scale-up, and holds a
    scale-down."""

    name = "hpa"
    period = SYNC_PERIOD_SECONDS

    def __init__(self, settings: HpaSettings, bounds: Bounds) -> None:
        self._settings = settings
        self.metric_delay = settings.metric_delay
        self._bounds = bounds.without_zero
        self._pipeline = BehaviorPipeline(settings.behavior, self._bounds)

    def start(self, replicas: int) -> None:
        """Take the present size as the first recommendation."""
        self._pipeline.start(0.0, replicas)

    def order(self, view: View) -> Order:
        """Average over pods, ratio to the target, behaviour. Without any metric the size stays."""
        current = view.replicas.ordered
        pods = [pod for pod in view.pods if pod.phase is not PodPhase.DRAINING]
        values = [pod.sample.in_flight for pod in pods if pod.sample is not None]
        pending = sum(pod.phase is PodPhase.UNSCHEDULABLE for pod in pods)
        recommendation = replicas_for_pods_metric(
            values,
            missing=len(pods) - pending - len(values),
            pending=pending,
            current=current,
            target=self._settings.target,
            tolerance=self._settings.tolerance,
        )
        if recommendation is None:
            return Order(self._bounds.clamp(current), "no pod has metrics")
        mean = sum(values) / len(values)
        return Order(
            self._pipeline.apply(view.now, current, recommendation),
            f"{mean:.3g} in flight per pod / target {self._settings.target:g} -> {recommendation}",
        )


def replicas_for_pods_metric(
    values: Sequence[float], *, missing: int, pending: int, current: int, target: float, tolerance: float = TOLERANCE
) -> int | None:
    """Replicas by a metric of type Pods.

    Args:
        values: of the pods that have the metric.
        missing: running pods without it; at the target if the others are below it, else at 0.
        pending: pods of phase Pending; at 0 if the others are above the target, else left out.

    Returns:
        None where no pod has the metric.
    """
    if not values:
        return None
    ratio = _mean_ratio(values, target)
    rebalance = pending if ratio > 1.0 else 0
    if not rebalance and not missing:
        return current if within_tolerance(ratio, tolerance) else math.ceil(ratio * len(values))
    enlarged = [*values, *[target if ratio < 1.0 else 0.0] * missing, *[0.0] * rebalance]
    damped = _mean_ratio(enlarged, target)
    if within_tolerance(damped, tolerance) or (ratio < 1.0 < damped) or (damped < 1.0 < ratio):
        return current
    return math.ceil(damped * len(enlarged))


def replicas_for_average_value(total: float, *, current: int, target: float, tolerance: float = TOLERANCE) -> int:
    """Replicas by a metric of type External with target type AverageValue, whatever the pods' states."""
    if within_tolerance(_milli(total) / (_milli(target) * current), tolerance):
        return current
    return math.ceil(_milli(total) / _milli(target))


def within_tolerance(ratio: float, tolerance: float) -> bool:
    """Too near to 1 for a change."""
    return abs(1.0 - ratio) <= tolerance


def _mean_ratio(values: Sequence[float], target: float) -> float:
    """The mean by the target. The mean is one of whole thousandths, cut off, as the controller's."""
    return sum(map(_milli, values)) // len(values) / _milli(target)


def _milli(quantity: float) -> int:
    """A quantity's MilliValue."""
    return round(1000 * quantity)
