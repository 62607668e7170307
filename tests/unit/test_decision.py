"""A decision in one sentence."""

import pytest

from llmendpoint.api.status import Clamp
from llmendpoint.scaling.decision import Replicas
from support.builders import NOW, decision


@pytest.mark.parametrize(
    ("raw", "current", "desired", "holding", "wait", "end"),
    [
        (5, 4, 5, None, 48.4, "want 5, have 4 + 0 starting; scale out 4 -> 5; ready in about 48 s"),
        (2, 4, 2, None, None, "want 2, have 4 + 0 starting; scale in 4 -> 2"),
        (4, 4, 4, None, None, "want 4, have 4 + 0 starting; stay at 4"),
        (2, 4, 4, "60 s cooldown", None, "want 2, have 4 + 0 starting; 60 s cooldown; stay at 4"),
        (9, 4, 6, "maxReplicas is 6", 48.0, "have 4 + 0 starting; maxReplicas is 6; scale out 4 -> 6; ready in about"),
    ],
)
def test_it_says_the_sum_the_wish_what_there_is_and_what_is_done(
    raw: int, current: int, desired: int, holding: str | None, wait: float | None, end: str
) -> None:
    clamp = Clamp(name="Rule", before=raw, after=desired, detail=holding) if holding else None
    ready = None if wait is None else NOW + wait
    made = decision(NOW, desired, raw=raw, current=current, replicas=Replicas(4), holding=clamp, expected_ready=ready)
    text = made.sentence
    assert text.startswith(f"the sum; want {raw}")
    assert end in text


def test_replicas_without_a_node_are_coming_as_well() -> None:
    text = decision(NOW, 5, replicas=Replicas(2, 1, 7, unschedulable=2)).sentence
    assert "have 2 + 3 starting" in text
