"""spec.behavior: the examples of the Kubernetes documentation and of KEP-853."""

import pytest

from llmendpoint.simulate.peers.hpa_behavior import DEFAULT, Behavior, BehaviorPipeline, RateLimit, Rules
from llmendpoint.simulate.peers.peer import Bounds

AT_ONCE = Rules(0.0, (RateLimit("Percent", 100, 15.0),))


def sizes(behavior: Behavior, *, start: int, wanted: int, every: float, times: int) -> list[int]:
    """What is set, look by look, while one size is wanted."""
    pipeline = BehaviorPipeline(behavior, Bounds(1, 10_000))
    pipeline.start(0.0, start)
    current, result = start, []
    for look in range(1, times + 1):
        current = pipeline.apply(look * every, current, wanted)
        result.append(current)
    return result


def test_four_pods_or_ten_percent_per_minute_go_down_as_documented() -> None:
    rules = Rules(0.0, (RateLimit("Pods", 4, 60.0), RateLimit("Percent", 10, 60.0)))
    assert sizes(Behavior(AT_ONCE, rules), start=80, wanted=10, every=60.0, times=13) == [
        72, 64, 57, 51, 45, 40, 36, 32, 28, 24, 20, 16, 12,
    ]  # fmt: skip


def test_nine_hundred_percent_per_minute_goes_up_tenfold() -> None:
    rules = Rules(0.0, (RateLimit("Percent", 900, 60.0),))
    assert sizes(Behavior(rules, AT_ONCE), start=1, wanted=1000, every=60.0, times=4) == [10, 100, 1000, 1000]


def test_a_limit_counts_over_its_period() -> None:
    rules = Rules(0.0, (RateLimit("Pods", 4, 60.0),))
    assert sizes(Behavior(rules, AT_ONCE), start=10, wanted=30, every=15.0, times=9) == [
        14, 14, 14, 14, 18, 18, 18, 18, 22,
    ]  # fmt: skip


@pytest.mark.parametrize(("start", "first"), [(1, 5), (3, 7), (4, 8), (10, 20)])
def test_by_default_it_doubles_or_adds_four(start: int, first: int) -> None:
    assert sizes(DEFAULT, start=start, wanted=1000, every=15.0, times=1) == [first]


def test_a_scale_down_waits_for_the_largest_recommendation_to_be_five_minutes_old() -> None:
    pipeline = BehaviorPipeline(DEFAULT, Bounds())
    pipeline.start(0.0, 10)
    assert [pipeline.apply(at, 10, 4) for at in (15.0, 285.0, 299.0)] == [10, 10, 10]
    assert pipeline.apply(300.0, 10, 6) == 6


def test_a_scale_up_window_takes_the_smallest_recommendation() -> None:
    pipeline = BehaviorPipeline(Behavior(Rules(60.0, DEFAULT.scale_up.policies), DEFAULT.scale_down), Bounds())
    pipeline.start(0.0, 2)
    assert [pipeline.apply(at, 2, wanted) for at, wanted in ((15.0, 4), (30.0, 3), (59.0, 4), (75.0, 4))] == [
        2,
        2,
        2,
        3,
    ]


@pytest.mark.parametrize(("current", "wanted", "size"), [(2, 9, 4), (4, 1, 2), (9, 9, 4), (1, 1, 2)])
def test_the_size_stays_within_the_bounds(current: int, wanted: int, size: int) -> None:
    pipeline = BehaviorPipeline(Behavior(AT_ONCE, AT_ONCE), Bounds(2, 4))
    assert pipeline.apply(0.0, current, wanted) == size
