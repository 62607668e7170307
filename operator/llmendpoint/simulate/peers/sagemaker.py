"""Target tracking of AWS Application Auto Scaling, as SageMaker endpoints use it.

Source: Application Auto Scaling API reference, TargetTrackingScalingPolicyConfiguration and
StepScalingPolicyConfiguration; user guide, "How target tracking scaling works"; SageMaker developer guide, "Define a
scaling policy". The alarms are managed and not documented: 3 points above the target and 15 points below 0.9 of it is
what their users see in CloudWatch. High-resolution metrics come each 10 s and scale in at the same speed as the others.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from llmendpoint.simulate.peers.peer import Bounds
from llmendpoint.simulate.policy import Order, ProxySample, View

LOW_SHARE = 0.9


@dataclass(frozen=True)
class TrackingSettings:
    """A target tracking policy and the two alarms that it manages. Times in seconds."""

    target: float
    period: float
    points_above: int = 3
    points_below: int = 15
    scale_out_cooldown: float = 300.0
    scale_in_cooldown: float = 300.0
    metric_delay: float = 60.0


class TargetTracking:
    """The decision without its metric: two alarms, proportional capacity, two cooldowns.

    The scale-out cooldown begins when the new instances are in service. A larger desired capacity is not held by it;
    a scale-in is. The scale-in cooldown ends with a scale-out.
    """

    def __init__(self, settings: TrackingSettings, bounds: Bounds, desired: int) -> None:
        self._settings = settings
        self._bounds = bounds.without_zero
        self._points: deque[float] = deque(maxlen=max(settings.points_above, settings.points_below))
        self._desired = self._bounds.clamp(desired)
        self._out_until = -math.inf
        self._in_until = -math.inf
        self._under_way = False

    def miss(self) -> int:
        """Desired capacity where the point is missing: the alarms have insufficient data and begin anew."""
        self._points.clear()
        return self._desired

    def step(self, now: float, load: float, instances: int, in_service: int) -> int:
        """Desired capacity with one more point of the metric.

        Args:
            load: the metric's sum over instances.
            instances: that the metric was measured on.
            in_service: instances now.
        """
        settings = self._settings
        self._points.append(load / max(instances, 1))
        if self._under_way and in_service >= self._desired:
            self._under_way, self._out_until = False, now + settings.scale_out_cooldown
        wanted = self._bounds.clamp(math.ceil(load / settings.target))
        if self._all(settings.points_above, lambda point: point > settings.target):
            if wanted > self._desired:
                self._desired, self._under_way, self._in_until = wanted, True, -math.inf
        elif self._all(settings.points_below, lambda point: point < LOW_SHARE * settings.target):
            held = self._under_way or now < max(self._out_until, self._in_until)
            would_rise_above = load > (self._desired - 1) * settings.target
            if wanted < self._desired and not held and not would_rise_above:
                self._desired, self._in_until = wanted, now + settings.scale_in_cooldown
        return self._desired

    def _all(self, points: int, condition: Callable[[float], bool]) -> bool:
        """Whether an alarm is on."""
        return len(self._points) >= points and all(condition(point) for point in list(self._points)[-points:])


class SageMaker:
    """An endpoint variant with one of the two predefined metrics, sum over instances by ``load``."""

    def __init__(
        self,
        name: str,
        settings: TrackingSettings,
        bounds: Bounds,
        load: Callable[[ProxySample, ProxySample], float],
    ) -> None:
        self.name = name
        self.period = settings.period
        self.metric_delay = settings.metric_delay
        self._settings = settings
        self._bounds = bounds
        self._load = load
        self._tracking = TargetTracking(settings, bounds, 0)
        self._before: ProxySample | None = None
        self._in_service: deque[tuple[float, int]] = deque()

    def start(self, replicas: int) -> None:
        """The variant runs with so many instances."""
        self._tracking = TargetTracking(self._settings, self._bounds, replicas)
        self._in_service.append((0.0, replicas))

    def order(self, view: View) -> Order:
        """One point of the metric, over the period that ended ``metric_delay`` ago."""
        self._in_service.append((view.now, view.replicas.ready))
        before, sample = self._before, view.proxy
        self._before = sample
        if before is None or sample is None or sample.taken_at <= before.taken_at:
            return Order(self._tracking.miss(), "no whole period yet" if view.proxy else "insufficient data")
        load = self._load(before, sample)
        instances = self._instances_at(sample.taken_at)
        desired = self._tracking.step(view.now, load, instances, view.replicas.ready)
        return Order(desired, f"{load / max(instances, 1):.3g} per instance / target {self._settings.target:g}")

    def _instances_at(self, time: float) -> int:
        """Instances in service when the point was measured."""
        while len(self._in_service) > 1 and self._in_service[1][0] <= time:
            self._in_service.popleft()
        return self._in_service[0][1]


def requests_per_minute(old: ProxySample, new: ProxySample) -> float:
    """Requests that arrived between two samples, by minute."""
    return (new.requests_total - old.requests_total) * 60.0 / (new.taken_at - old.taken_at)


def mean_concurrency(old: ProxySample, new: ProxySample) -> float:
    """Mean of the requests in flight between two samples."""
    return (new.in_flight_seconds_total - old.in_flight_seconds_total) / (new.taken_at - old.taken_at)


def sagemaker(bounds: Bounds, target: float = 70.0) -> SageMaker:
    """SageMakerVariantInvocationsPerInstance: requests per instance and minute."""
    return SageMaker(
        "sagemaker",
        TrackingSettings(target=target, period=60.0),
        bounds,
        requests_per_minute,
    )


def sagemaker_high_resolution(bounds: Bounds, target: float = 5.0) -> SageMaker:
    """SageMakerVariantConcurrentRequestsPerModelHighResolution: mean of the requests in flight over 10 s."""
    return SageMaker(
        "sagemaker-hires",
        TrackingSettings(target=target, period=10.0, points_below=90, metric_delay=10.0),
        bounds,
        mean_concurrency,
    )
