"""The operator's metrics per endpoint: bounded, kept over a restart, gone with the endpoint."""

from dataclasses import replace

import pytest

from llmendpoint.metrics.exporter import Exporter
from llmendpoint.reconcile.usage import Account, Meter, Trial
from llmendpoint.runtime.memory import Memories
from llmendpoint.runtime.queue import WorkQueue
from support.builders import NOW, decision
from support.exports import TROUBLED, WELL, filled_exporter
from support.ticks import stored, ticker_of

KEY = ("team", "llama")
LABELS = 'name="llama",namespace="team"'
HELD = decision(NOW, 4, raw=2, held_by="ScaleInCooldown")
ACCOUNT = Account(since=NOW, at=NOW, held=Meter(2, gpu_seconds=9000.0, cost=5.0))


def series(exporter: Exporter) -> dict[str, float]:
    lines = exporter.text().decode().splitlines()
    found = (line.rsplit(" ", 1) for line in lines if LABELS in line)
    return {name: float(value) for name, value in found}


def test_totals_are_those_of_the_account_and_not_of_this_process() -> None:
    exporter = Exporter()
    exporter.endpoints.accounts[KEY] = ACCOUNT
    assert series(exporter) == {
        f"llmendpoint_gpus{{{LABELS}}}": 2,
        f"llmendpoint_gpu_hours_total{{{LABELS}}}": 2.5,
        f"llmendpoint_cost_total{{{LABELS}}}": 5,
    }
    exporter.endpoints.accounts[KEY] = replace(ACCOUNT, held=Meter(), trial=Trial(NOW, would=Meter(1, 3600.0, 2.0)))
    assert series(exporter) == {
        f"llmendpoint_gpus{{{LABELS}}}": 0,
        f"llmendpoint_gpu_hours_total{{{LABELS}}}": 0,
        f"llmendpoint_dry_run_gpu_hours_total{{{LABELS}}}": 1,
        f"llmendpoint_dry_run_cost_total{{{LABELS}}}": 2,
    }


def test_a_hold_is_there_while_it_holds() -> None:
    exporter = Exporter()
    exporter.endpoints.decisions[KEY] = HELD
    assert series(exporter) == {
        f"llmendpoint_demand_replicas{{{LABELS}}}": 2,
        f"llmendpoint_desired_replicas{{{LABELS}}}": 4,
        f'llmendpoint_decision_hold{{{LABELS},reason="ScaleInCooldown"}}': 1,
    }
    exporter.endpoints.decisions[KEY] = replace(HELD, holding=None)
    assert not [name for name in series(exporter) if "hold" in name]


async def test_series_of_a_deleted_endpoint_are_removed() -> None:
    exporter = await filled_exporter()
    before = exporter.text().decode()
    for key in (WELL, TROUBLED):
        assert f'name="{key[1]}"' in before
        exporter.endpoints.forget(key)
        exporter.endpoints.forget(key)
    assert "namespace=" not in exporter.text().decode()


@pytest.mark.parametrize(("mode", "decided"), [("Active", True), ("DryRun", True), ("Off", False)])
async def test_each_tick_puts_them_out(mode: str, decided: bool) -> None:
    store = stored(llama={"maxReplicas": 3, "mode": mode})
    ticker = ticker_of(store, WorkQueue(), lambda: NOW, Memories())
    ticker._exporter.endpoints.decisions[KEY] = HELD
    await ticker.tick()
    found = series(ticker._exporter)
    assert f"llmendpoint_gpu_hours_total{{{LABELS}}}" in found
    assert (found.get(f"llmendpoint_desired_replicas{{{LABELS}}}") == 1) is decided
    assert (found.get(f"llmendpoint_max_replicas{{{LABELS}}}") == 3) is decided
    assert (f"llmendpoint_dry_run_gpu_hours_total{{{LABELS}}}" in found) is (mode == "DryRun")
    assert found[f"llmendpoint_requests_running{{{LABELS}}}"] == 1
    states = (f'llmendpoint_replicas{{{LABELS},state="{state}"}}' for state in ("ready", "starting", "unschedulable"))
    assert [found[state] for state in states] == [1, 0, 0]
