"""GPU-hours and cost: counted over ticks, kept over a restart, written seldom."""

from dataclasses import replace
from typing import Any

import pytest

from llmendpoint.api import names
from llmendpoint.reconcile.observation import Observation, observe
from llmendpoint.reconcile.usage import (
    TRIAL_SECONDS,
    Account,
    counted,
    gpus_held,
    is_news,
    opened,
    record,
    trial_sentence,
)
from support.builders import NOW, endpoint, pod

HOUR = 3600.0
LIMITS = {"resources": {"limits": {"nvidia.com/gpu": "2"}}}
SPEC = {"containers": [{"name": "engine", **LIMITS}]}


def seen(*pods: dict[str, Any], **scaling: Any) -> Observation:
    labels = {names.LABEL_COMPONENT: names.COMPONENT_ENGINE, names.LABEL_MANAGED_BY: names.MANAGED_BY}
    deployment = {
        "kind": "Deployment",
        "metadata": {"name": "llama-engine", "labels": labels},
        "spec": {"replicas": len(pods), "template": {"spec": SPEC}},
    }
    return observe(endpoint(scaling={"maxReplicas": 9, **scaling}), [deployment], pods)


def on_node(name: str = "a", **more: Any) -> dict[str, Any]:
    return {**pod(name, **more), "spec": {**SPEC, "nodeName": "n1"}}


def without_node(name: str = "w") -> dict[str, Any]:
    return {**pod(name, ready=False), "spec": SPEC}


TWO = seen(on_node("a"), on_node("b"))
FOUR_GPUS = 4


def test_pods_on_a_node_are_paid_whatever_they_do() -> None:
    pods = seen(on_node("serves"), on_node("starts", ready=False), on_node("drains", deleting=True), without_node())
    assert gpus_held(pods) == 6
    business = {**on_node("rag", component=names.COMPONENT_BUSINESS)}
    assert gpus_held(seen(business)) == 0


def test_what_is_held_counts_until_the_next_look() -> None:
    account = counted(opened(None, NOW), TWO, 2, NOW, None)
    assert account.held.gpu_hours == 0
    account = counted(account, seen(on_node("a")), 2, NOW + HOUR, None)
    assert account.held.gpu_hours == FOUR_GPUS
    account = counted(account, TWO, 2, NOW + 2 * HOUR, None)
    assert (account.held.gpu_hours, account.held.cost) == (FOUR_GPUS + 2, None)


def test_a_clock_that_is_set_back_counts_nothing_twice() -> None:
    account = counted(opened(None, NOW), TWO, 2, NOW, None)
    account = counted(counted(account, TWO, 2, NOW + HOUR, None), TWO, 2, NOW, None)
    assert account.held.gpu_hours == FOUR_GPUS
    assert counted(account, TWO, 2, NOW + HOUR, None).held.gpu_hours == 2 * FOUR_GPUS


@pytest.mark.parametrize(("own", "default", "cost"), [(2.5, None, 10.0), (2.5, 9.0, 10.0), (None, 0.5, 2.0)])
def test_the_price_is_the_endpoints_or_the_operators(own: float | None, default: float | None, cost: float) -> None:
    priced = seen(on_node("a"), on_node("b"), **({"pricePerGPUHour": own} if own else {}))
    account = counted(counted(opened(None, NOW), priced, 2, NOW, default), priced, 2, NOW + HOUR, default)
    assert account.held.cost == cost


def test_cost_counts_from_when_there_is_a_price_and_is_kept_without() -> None:
    account = counted(counted(opened(None, NOW), TWO, 2, NOW, None), TWO, 2, NOW + HOUR, None)
    account = counted(account, TWO, 2, NOW + 2 * HOUR, 1.0)
    assert account.held.cost == FOUR_GPUS
    assert counted(account, TWO, 2, NOW + 3 * HOUR, None).held.cost == FOUR_GPUS


def run(account: Account, ticks: int, at: float, **scaling: Any) -> tuple[Account, float]:
    look = seen(on_node("a"), on_node("b"), pricePerGPUHour=1.7, **scaling)
    for _ in range(ticks):
        at += 10.3
        account = counted(account, look, 1, at, None)
    return account, at


@pytest.mark.parametrize("mode", ["Active", "DryRun"])
@pytest.mark.parametrize("restarts", [1, 7])
def test_a_restart_at_any_tick_counts_as_if_there_had_been_none(restarts: int, mode: str) -> None:
    whole, end = run(opened(None, NOW), 700, NOW, mode=mode)
    account, at = run(opened(None, NOW), 2, NOW, mode=mode)
    written = record(account)
    for _ in range(restarts):
        account, at = run(opened(written, at + 5), (700 - 2) // restarts, at, mode=mode)
        # What was written at the first look is still all that is written: nothing has changed since.
        assert mode == "DryRun" or not is_news(account, written)
    account, at = run(account, 700 - 2 - (700 - 2) // restarts * restarts, at, mode=mode)
    assert at == end
    assert account.held.gpu_seconds == pytest.approx(whole.held.gpu_seconds, abs=0.5)
    assert account.held.cost == pytest.approx(whole.held.cost, abs=1e-3)
    if whole.trial and account.trial:
        assert account.trial.would.gpu_seconds == pytest.approx(whole.trial.would.gpu_seconds, abs=0.5)
        assert account.trial.actual.gpu_seconds == pytest.approx(whole.trial.actual.gpu_seconds, abs=0.5)


def test_a_day_without_change_is_no_reason_to_write() -> None:
    account = counted(opened(None, NOW), TWO, 2, NOW, None)
    assert is_news(account, None)
    written = record(account)
    for hours in (1, 24, 1000):
        assert not is_news(counted(account, TWO, 2, NOW + hours * HOUR, None), written)
    assert is_news(counted(account, seen(on_node("a")), 2, NOW + HOUR, None), written)


def test_an_endpoint_that_never_held_a_gpu_is_no_reason_to_write() -> None:
    assert not is_news(counted(opened(None, NOW), seen(without_node()), 2, NOW, None), None)


DRY = {"mode": "DryRun", "pricePerGPUHour": 2.0}


def test_a_dry_run_counts_what_the_scaler_would_have_ordered_from_its_beginning() -> None:
    account = counted(counted(opened(None, NOW), TWO, 2, NOW, 2.0), TWO, 2, NOW + HOUR, 2.0)
    dry = seen(on_node("a"), on_node("b"), **DRY)
    account = counted(account, dry, 1, NOW + HOUR, None)
    account = counted(account, dry, 3, NOW + 2 * HOUR, None)  # one replica of two GPUs for an hour
    account = counted(account, dry, 3, NOW + 2.5 * HOUR, None)  # then three for half of one
    usage = record(account)
    assert usage.gpu_hours == 10
    assert usage.dry_run is not None
    assert usage.dry_run.to_wire() == {
        "since": "2025-06-15T16:06:40Z", "gpus": 6, "gpuHours": 5.0, "actualGPUHours": 6.0, "cost": 10.0,
        "actualCost": 12.0, "savedCost": 2.0,
    }  # fmt: skip
    assert trial_sentence(usage.dry_run) == (
        "would have used 5.0 GPU-hours, 1.0 fewer than ran, at a cost of 10.00, 2.00 less, since 2025-06-15T16:06:40Z"
    )
    assert counted(account, TWO, 3, NOW + 3 * HOUR, None).trial is None


def test_a_dry_run_is_written_at_changes_and_each_hour_while_something_would_be_saved() -> None:
    dry = seen(on_node("a"), on_node("b"), **DRY)
    account = counted(opened(None, NOW), dry, 1, NOW, None)
    assert is_news(account, record(counted(opened(None, NOW), TWO, 1, NOW, None)))
    written = record(account)
    assert not is_news(counted(account, dry, 1, NOW + TRIAL_SECONDS - 1, None), written)
    assert is_news(counted(account, dry, 1, NOW + TRIAL_SECONDS, None), written)
    assert is_news(counted(account, dry, 2, NOW + 10, None), written)
    same = record(counted(opened(None, NOW), dry, 2, NOW, None))
    assert not is_news(counted(opened(same, NOW), dry, 2, NOW + 24 * HOUR, None), same)


def test_a_dry_run_that_costs_more_says_so() -> None:
    dry = seen(on_node("a"), mode="DryRun")
    usage = record(counted(counted(opened(None, NOW), dry, 2, NOW, None), dry, 2, NOW + HOUR, None))
    assert usage.dry_run is not None
    assert trial_sentence(usage.dry_run) == (
        "would have used 4.0 GPU-hours, 2.0 more than ran, since 2025-06-15T15:06:40Z"
    )
    assert replace(opened(usage, NOW), trial=None).held.gpu_hours == 2
