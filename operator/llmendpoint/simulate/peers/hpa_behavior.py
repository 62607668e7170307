"""spec.behavior of a HorizontalPodAutoscaler: stabilisation windows, then limits of the rate of change.

Source: Kubernetes, pkg/controller/podautoscaler/horizontal.go, stabilizeRecommendationWithBehaviors and
convertDesiredReplicasWithBehaviorRate (1.22; as in later versions, scale events of both kinds count). Defaults:
https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#default-behavior
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Literal

from llmendpoint.simulate.peers.peer import Bounds

LONGEST_PERIOD_SECONDS = 1800.0
"""That the API server accepts for a policy."""


@dataclass(frozen=True)
class RateLimit:
    """One entry of ``policies``: so many pods, or percent of them, in a period."""

    type: Literal["Pods", "Percent"]
    value: int
    period_seconds: float


@dataclass(frozen=True)
class Rules:
    """scaleUp or scaleDown. The limit that allows most counts: selectPolicy Max."""

    stabilization_window_seconds: float
    policies: tuple[RateLimit, ...]


@dataclass(frozen=True)
class Behavior:
    """The whole of spec.behavior; what Kubernetes fills in by default."""

    scale_up: Rules = Rules(0.0, (RateLimit("Percent", 100, 15.0), RateLimit("Pods", 4, 15.0)))
    scale_down: Rules = Rules(300.0, (RateLimit("Percent", 100, 15.0),))


DEFAULT = Behavior()


class BehaviorPipeline:
    """What the controller remembers of one autoscaler: its recommendations and its scale events."""

    def __init__(self, behavior: Behavior, bounds: Bounds) -> None:
        self._behavior = behavior
        self._bounds = bounds
        self._recommendations: deque[tuple[float, int]] = deque()
        self._added: deque[tuple[float, int]] = deque()
        self._removed: deque[tuple[float, int]] = deque()

    def start(self, now: float, replicas: int) -> None:
        """Begin with the present size as the first recommendation, as the controller does."""
        self._recommendations.append((now, replicas))

    def apply(self, now: float, current: int, recommendation: int) -> int:
        """The size to set, and remember the change."""
        if not self._bounds.least <= current <= self._bounds.most:
            desired = self._bounds.clamp(current)
        else:
            desired = self._limit(now, current, self._stabilize(now, current, recommendation))
        if desired > current:
            self._added.append((now, desired - current))
        elif desired < current:
            self._removed.append((now, current - desired))
        return desired

    def _stabilize(self, now: float, current: int, recommendation: int) -> int:
        """The smallest recommendation of the window on the way up, the largest on the way down."""
        up, down = (
            rules.stabilization_window_seconds for rules in (self._behavior.scale_up, self._behavior.scale_down)
        )
        window, select = (up, min) if recommendation >= current else (down, max)
        stabilized = select([recommendation, *(value for at, value in self._recommendations if at > now - window)])
        self._recommendations.append((now, recommendation))
        _forget(self._recommendations, now - max(up, down))
        return stabilized

    def _limit(self, now: float, current: int, desired: int) -> int:
        if desired > current:
            limit = max(
                start + policy.value if policy.type == "Pods" else math.ceil(start * (100 + policy.value) / 100)
                for policy, start in self._period_starts(now, current, self._behavior.scale_up)
            )
            return min(desired, max(limit, current), self._bounds.most)
        if desired < current:
            limit = min(
                start - policy.value if policy.type == "Pods" else start * (100 - policy.value) // 100
                for policy, start in self._period_starts(now, current, self._behavior.scale_down)
            )
            return max(desired, min(limit, current), self._bounds.least)
        return desired

    def _period_starts(self, now: float, current: int, rules: Rules) -> list[tuple[RateLimit, int]]:
        """Each limit with the size at the beginning of its period."""
        _forget(self._added, now - LONGEST_PERIOD_SECONDS)
        _forget(self._removed, now - LONGEST_PERIOD_SECONDS)
        return [
            (policy, current - _within(self._added, now, policy) + _within(self._removed, now, policy))
            for policy in rules.policies
        ]


def _within(events: deque[tuple[float, int]], now: float, policy: RateLimit) -> int:
    return sum(change for at, change in events if at > now - policy.period_seconds)


def _forget(entries: deque[tuple[float, int]], before: float) -> None:
    while entries and entries[0][0] < before:
        entries.popleft()
