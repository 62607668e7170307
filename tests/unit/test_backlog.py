"""Replicas for what piles up while others start. Requests take half a replica-second, a start 100 s."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmendpoint.scaling.backlog import backlog_replicas
from llmendpoint.scaling.signals import Queue


def backlog(mean: float, ready: int, *waiting: float, steady: float | None = None, coming: int | None = None) -> float:
    queues = [Queue(2.0, count) for count in waiting]
    return backlog_replicas(
        mean, mean if steady is None else steady, ready, queues, request_seconds=0.5, cold_start=100.0, coming=coming
    )


@pytest.mark.parametrize(
    ("what", "mean", "ready", "waiting", "replicas"),
    [
        ("there is no queue and enough replicas", 2.0, 4, (), 0.0),
        ("a queue is gone in half a start", 2.0, 4, (100.0,), 2.5),
        ("a queue outlasts a start, however much", 2.0, 4, (5000.0,), 3.0),
        ("each replica has its own", 2.0, 4, (5000.0, 100.0, 20.0), 3.6),
        ("three replicas are missing for as long as a start takes", 4.0, 1, (), 10.0),
        ("the larger of both decides", 4.0, 3, (5000.0, 5000.0, 5000.0), 7.0),
        ("nothing comes any more: what waits in an engine stays there", 0.0, 2, (5000.0, 5000.0), 2.0),
    ],
)
def test_what_piles_up_is_cleared_and_replicas_with_long_queues_are_replaced(
    what: str, mean: float, ready: int, waiting: tuple[float, ...], replicas: float
) -> None:
    assert backlog(mean, ready, *waiting) == pytest.approx(replicas)


def test_a_jump_has_to_last_before_more_is_ordered_than_it_needs() -> None:
    assert backlog(10.0, 1, steady=1.0) == 0.0
    assert backlog(10.0, 1, steady=5.5) == 19.0
    assert backlog(10.0, 1, steady=10.0) == 28.0


def test_while_replicas_start_queues_ask_for_no_more_than_what_is_on_its_way() -> None:
    assert backlog(4.0, 4, 5000.0, 5000.0, coming=5) == 5.0
    assert backlog(4.0, 4, 5000.0, 5000.0, coming=3) == 0.0


@given(
    st.floats(0.0, 50.0), st.floats(0.0, 5.0), st.integers(1, 20), st.lists(st.floats(0.0, 1e6), max_size=5),
    st.none() | st.integers(0, 60),
)  # fmt: skip
def test_more_demand_never_asks_for_fewer(
    mean: float, more: float, ready: int, waiting: list[float], coming: int | None
) -> None:
    least = max(backlog(mean, ready, *waiting, coming=coming), mean)
    assert max(backlog(mean + more, ready, *waiting, coming=coming), mean + more) >= least - 1e-9
