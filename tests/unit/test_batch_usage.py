"""GPU-hours of a batch: what its endpoint uses meanwhile, over suspensions, restarts and other users."""

from typing import Any

import pytest

from llmendpoint.api.batch import BatchUsage
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.reconcile.batch_usage import counted_usage
from llmendpoint.scaling.record import rfc3339
from support.builders import NOW, endpoint

HOUR = 3600.0


def using(gpu_hours: float, gpus: int = 0, *, cost: float | None = None, name: str = "llama", **spec: Any) -> Endpoint:
    """An endpoint that has used so much by now, and holds GPUs from now on."""
    usage = {"since": rfc3339(NOW - HOUR), "asOf": rfc3339(NOW), "gpus": gpus, "gpuHours": gpu_hours}
    return endpoint(name, status={"usage": usage | ({} if cost is None else {"cost": cost})}, **spec)


def count(
    known: BatchUsage | None,
    by: Endpoint | None,
    *,
    counts: bool = True,
    is_own: bool = False,
    now: float = NOW,
    price: float | None = None,
) -> BatchUsage | None:
    return counted_usage(known, by, counts=counts, is_own=is_own, now=now, price=price)


def hours(usage: BatchUsage | None) -> float:
    assert usage is not None
    return usage.gpu_hours


def test_what_an_endpoint_used_before_is_not_the_batch_s() -> None:
    first = count(None, using(7.0, gpus=2))
    assert hours(first) == 0.0
    assert hours(count(first, using(7.0, gpus=2), now=NOW + HOUR)) == 2.0


def test_own_engines_are_counted_from_their_beginning() -> None:
    assert hours(count(None, using(0.5), is_own=True)) == 0.5


def test_new_engines_after_a_pause_are_added() -> None:
    first = count(None, using(0.5, name="a"), is_own=True)
    assert hours(count(first, using(0.25, name="b"), is_own=True)) == 0.75


def test_what_others_use_while_the_batch_does_not_work_is_left_out() -> None:
    first = count(None, using(7.0))
    waiting = count(first, using(8.0), counts=False)
    assert hours(waiting) == 0.0
    assert hours(count(waiting, using(8.5))) == 0.5


@pytest.mark.parametrize(("spec", "cost"), [({}, 3.0), ({"scaling": {"maxReplicas": 1, "pricePerGPUHour": 5}}, 5.0)])
def test_the_endpoint_s_price_comes_before_the_operator_s(spec: dict[str, Any], cost: float) -> None:
    first = count(None, using(7.0, gpus=1, cost=70.0, **spec), price=3.0)
    after = count(first, using(7.0, gpus=1, cost=70.0, **spec), now=NOW + HOUR, price=3.0)
    assert after is not None
    assert after.cost == cost


def test_without_a_price_there_is_no_cost() -> None:
    used = count(None, using(1.0), is_own=True)
    assert used is not None
    assert used.cost is None


def test_an_endpoint_that_is_gone_or_counts_nothing_yet_changes_nothing() -> None:
    known = count(None, using(0.5), is_own=True)
    assert count(known, None, is_own=True) == known
    assert count(known, endpoint(), is_own=True) == known


def test_nothing_is_taken_back_where_an_endpoint_s_status_was_edited() -> None:
    first = count(None, using(7.0))
    assert hours(count(first, using(1.0))) == 0.0
