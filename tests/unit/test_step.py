"""Step scaling as AWS documents it."""

import pytest

from llmendpoint.api.scaling import Scaling
from llmendpoint.scaling.decision import Desire, Unread
from llmendpoint.scaling.signals import Signals
from llmendpoint.scaling.state import initial_state
from llmendpoint.scaling.step import desire
from support.builders import NOW, scaling

THRESHOLD = 50
POINTS = 15  # enough for both alarms


def policy(*steps: dict[str, float], adjustment: str = "ChangeInCapacity") -> Scaling:
    return scaling(
        maxReplicas=100,
        policy="Step",
        targets=[{"type": "ConcurrentRequestsPerReplica", "value": THRESHOLD}],
        adjustmentType=adjustment,
        steps=list(steps),
        evaluation="Fast",
    )


def asked(spec: Scaling, metric: float, *, serving: int, desired: int | None = None, points: int = POINTS) -> Desire:
    """The wish after the metric per replica has been the same for so many points."""
    state = initial_state(serving if desired is None else desired, NOW)
    signals = Signals(known=serving, unknown=0, running=metric * serving)
    wish: Desire = Unread(0, "")
    for tick in range(points + 1):
        state, wish = desire(spec, state, signals, NOW + 10.0 * tick)
    return wish


def test_the_worked_example_of_the_aws_documentation() -> None:
    """https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-simple-step.html, "Step adjustments"."""
    spec = policy(
        {"lowerBound": 0, "upperBound": 10, "adjustment": 0},
        {"lowerBound": 10, "upperBound": 20, "adjustment": 10},
        {"lowerBound": 20, "adjustment": 30},
        {"lowerBound": -10, "upperBound": 0, "adjustment": 0},
        {"lowerBound": -20, "upperBound": -10, "adjustment": -10},
        {"upperBound": -20, "adjustment": -30},
        adjustment="PercentChangeInCapacity",
    )
    capacity, seen = 10, []
    for metric in (60, 70, 40, 30):
        capacity = asked(spec, metric, serving=capacity).raw
        seen.append(capacity)
    assert seen == [11, 14, 13, 10]


@pytest.mark.parametrize(
    ("change", "serving", "after"),
    [
        (10, 10, 11),
        (10, 3, 4),  # 0.3 becomes 1
        (30, 11, 14),  # 3.3 becomes 3
        (95, 9, 17),  # 8.55 becomes 8
        (0, 10, 10),
    ],
)
def test_a_percentage_is_rounded_as_aws_does_when_it_adds(change: int, serving: int, after: int) -> None:
    spec = policy({"lowerBound": 0, "adjustment": change}, adjustment="PercentChangeInCapacity")
    assert asked(spec, 60, serving=serving).raw == after


@pytest.mark.parametrize(
    ("change", "serving", "after"),
    [
        (-10, 14, 13),  # -1.4 becomes -1
        (-10, 3, 2),  # -0.3 becomes -1
        (-30, 13, 10),  # -3.9 becomes -3
        (-200, 4, 0),
    ],
)
def test_a_percentage_is_rounded_as_aws_does_when_it_removes(change: int, serving: int, after: int) -> None:
    spec = policy({"upperBound": 0, "adjustment": change}, adjustment="PercentChangeInCapacity")
    assert asked(spec, 40, serving=serving).raw == after


@pytest.mark.parametrize(("metric", "after"), [(60, 6), (40, 2), (50, 4)])
def test_a_change_in_capacity_adds_or_removes_replicas(metric: float, after: int) -> None:
    spec = policy({"lowerBound": 1, "adjustment": 2}, {"upperBound": -1, "adjustment": -2})
    assert asked(spec, metric, serving=4).raw == after


@pytest.mark.parametrize(("metric", "after"), [(60, 9), (40, 1), (50, 4)])
def test_an_exact_capacity_sets_the_count(metric: float, after: int) -> None:
    spec = policy({"lowerBound": 1, "adjustment": 9}, {"upperBound": -1, "adjustment": 1}, adjustment="ExactCapacity")
    assert asked(spec, metric, serving=4).raw == after


@pytest.mark.parametrize(("serving", "after"), [(4, 6), (5, 7), (6, 8)])
def test_replicas_that_start_are_part_of_what_a_band_adds(serving: int, after: int) -> None:
    spec = policy({"lowerBound": 0, "adjustment": 2})
    assert asked(spec, 60, serving=serving, desired=6).raw == after


@pytest.mark.parametrize(("points", "out"), [(1, False), (2, False), (3, True)])
def test_a_band_adds_after_three_points_above(points: int, out: bool) -> None:
    assert (asked(policy({"lowerBound": 0, "adjustment": 2}), 60, serving=4, points=points).raw > 4) == out


@pytest.mark.parametrize(("points", "in_"), [(14, False), (15, True)])
def test_a_band_removes_after_fifteen_points_below(points: int, in_: bool) -> None:
    assert (asked(policy({"upperBound": 0, "adjustment": -2}), 40, serving=4, points=points).raw < 4) == in_


def test_a_band_above_that_removes_does_nothing() -> None:
    """The alarm of the other direction is not on."""
    assert asked(policy({"lowerBound": 0, "adjustment": -2}), 60, serving=4).raw == 4


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        (60, "ConcurrentRequestsPerReplica 60 per replica, +10 from 50: ChangeInCapacity 2"),
        (40, "ConcurrentRequestsPerReplica 40 per replica, -10 from 50: no step applies"),
    ],
)
def test_the_sum_is_said_in_words(metric: float, words: str) -> None:
    wish = asked(policy({"lowerBound": 0, "adjustment": 2}), metric, serving=4)
    assert wish.why == words
    assert wish.terms["breach"] == metric - 50
    assert (wish.terms["adjustmentType"], wish.terms["adjustment"]) == ("ChangeInCapacity", 2 if metric == 60 else None)
    assert (wish.terms["pointsAbove"], wish.terms["pointsBelow"]) == ((15, 0) if metric == 60 else (0, 15))


def test_no_whole_period_yet_changes_nothing() -> None:
    wish = asked(policy({"lowerBound": 0, "adjustment": 2}), 900, serving=4, points=0)
    assert (wish.raw, wish.terms["breach"]) == (4, 0)


def test_a_wish_is_never_negative() -> None:
    assert asked(policy({"upperBound": 0, "adjustment": -1000}), 40, serving=4).raw == 0
