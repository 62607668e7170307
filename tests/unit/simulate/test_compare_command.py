"""``llmendpoint simulate --compare``: what it prints, and the options that make a scenario."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from llmendpoint.cli.main import app
from llmendpoint.simulate.peers import PEERS
from support.builders import endpoint_file

PROMISED = {
    "gpu_hours", "ttft_attainment", "ttft_p50", "ttft_p95", "ttft_p99", "scale_outs", "scale_ins", "requests",
    "unfinished", "max_replicas_seen", "wall_seconds", "tuned", "target",
}  # fmt: skip
STEP = "step:rate=0.6,hours=0.4,factor=3,at=500"


def simulate(directory: Path, *arguments: str, trace: str = STEP, columns: int = 120, **scaling: Any) -> Result:
    path = endpoint_file(directory, scaling={"maxReplicas": 4, **scaling})
    return CliRunner().invoke(
        app,
        ["simulate", "-f", str(path), "--trace", trace, "--cold-start", "60", "--engine-profile", "a10g-llama-8b",
         "--jobs", "1", *arguments],
        env={"COLUMNS": str(columns)},
    )  # fmt: skip


def found(directory: Path, *arguments: str, **options: Any) -> dict[str, Any]:
    result = simulate(directory, "--output", "json", *arguments, **options)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    figures: dict[str, Any] = json.loads(result.stdout)
    return figures


def test_json_has_the_promised_figures_of_every_policy(tmp_path: Path) -> None:
    figures = found(tmp_path, "--compare")
    assert figures["policies"].keys() == {"demand", *PEERS}
    for policy in figures["policies"].values():
        assert policy.keys() >= PROMISED
        assert policy["tuned"] is False
    assert figures["trace"] == STEP
    assert (figures["engine_profile"], figures["cold_start"], figures["seed"]) == ("a10g-llama-8b", 60.0, 0)
    assert figures["lower_bound"] > 0


def test_demand_is_what_simulate_says_of_the_file(tmp_path: Path) -> None:
    alone, policy = found(tmp_path), found(tmp_path, "--compare")["policies"]["demand"]
    for figures in (alone, policy):
        figures.pop("wall_seconds")
    assert policy.items() >= alone.items()


def test_tuned_targets_are_told_with_all_runs(tmp_path: Path) -> None:
    figures = found(tmp_path, "--compare-tuned", "--slo-attainment", "0.9", "--choose-on", "0.5")
    assert (figures["choose_on"], figures["slo_attainment"]) == (0.5, 0.9)
    for policy in figures["policies"].values():
        assert policy["tuned"] is True
        assert policy["target"] in [run["target"] for run in policy["runs"]]


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_names_every_policy_within_the_terminal(tmp_path: Path, columns: int) -> None:
    result = simulate(tmp_path, "--compare", columns=columns)
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= columns
    for name in ("demand", *PEERS):
        assert f"\n {name} " in result.stdout or f"\n{name} " in result.stdout


def test_a_part_of_the_trace_and_more_users(tmp_path: Path) -> None:
    whole, part = found(tmp_path)["requests"], found(tmp_path, "--from", "500", "--until", "1000")["requests"]
    assert 0 < part < whole
    assert found(tmp_path, "--scale", "3")["requests"] == 3 * whole
    assert found(tmp_path, "--scale", "0.5")["requests"] == pytest.approx(whole / 2, rel=0.15)


def test_faults_and_routing_change_the_outcome(tmp_path: Path) -> None:
    well = found(tmp_path, "--initial-replicas", "2")
    assert found(tmp_path, "--initial-replicas", "2", "--crash", "600")["ttft_p99"] != well["ttft_p99"]
    assert found(tmp_path, "--initial-replicas", "2", "--routing", "round-robin")["ttft_p99"] != well["ttft_p99"]
    assert found(tmp_path, "--outage", "400-1300")["gpu_hours"] != found(tmp_path)["gpu_hours"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--outage", "soon"], "--outage soon: give two times in seconds, as in 600-900"),
        (["--outage", "9-5"], "it has to end after it begins"),
        (["--from", "9000"], "has no request between 9000 and inf s: it lasts 1440 s"),
        (["--from", "20", "--until", "10"], "has no request between 20 and 10 s"),
    ],
)
def test_what_can_not_be_is_said(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    result = simulate(tmp_path, *arguments)
    assert result.exit_code == 1
    assert sentence in result.stderr
