"""``llmendpoint simulate``: what it prints, and what it says when it can not."""

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from llmendpoint.cli.main import app
from support.builders import endpoint_file

KEYS = {
    "gpu_hours", "ttft_attainment", "ttft_p50", "ttft_p95", "ttft_p99", "scale_outs", "scale_ins", "requests",
    "unfinished", "max_replicas_seen", "wall_seconds",
}  # fmt: skip


def simulate(directory: Path, *arguments: str, trace: str = "poisson:rate=1,hours=0.2", **spec: Any) -> Result:
    path = endpoint_file(directory, **{"scaling": {"maxReplicas": 8}, **spec})
    profile = [] if "--engine-profile" in arguments else ["--engine-profile", "a10g-llama-8b"]
    return CliRunner().invoke(
        app, ["simulate", "-f", str(path), "--trace", trace, "--cold-start", "60", *profile, *arguments]
    )


def test_json_is_one_object_with_the_promised_figures(tmp_path: Path) -> None:
    result = simulate(tmp_path, "--output", "json")
    assert (result.exit_code, result.stderr) == (0, "")
    figures = json.loads(result.stdout)
    assert figures.keys() >= KEYS
    assert all(isinstance(figures[name], int | float) for name in KEYS)
    assert figures["requests"] > 0


def test_the_seed_and_the_objective_matter(tmp_path: Path) -> None:
    def run(*arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(simulate(tmp_path, "--output", "json", *arguments).stdout)
        found.pop("wall_seconds")
        return found

    assert run("--seed", "3") == run("--seed", "3")
    assert run("--seed", "3") != run("--seed", "4")
    assert run("--slo-ttft", "0")["ttft_attainment"] < run()["ttft_attainment"]


def test_the_table_shows_figures_course_and_changes(tmp_path: Path) -> None:
    result = simulate(tmp_path, trace="step:rate=1,hours=0.5,factor=6,at=300")
    assert result.exit_code == 0
    for word in ("GPU-hours", "TTFT attainment", "demand", "ready", "scale out"):
        assert word in result.stdout


def test_html_is_a_page_with_the_cost_at_the_price_of_the_file(tmp_path: Path) -> None:
    result = simulate(tmp_path, "--output", "html", scaling={"maxReplicas": 8, "pricePerGPUHour": 2})
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("<!DOCTYPE html>")
    assert "<h1>llama on poisson:rate=1,hours=0.2</h1>" in result.stdout
    assert "at 2 per GPU-hour" in result.stdout


def test_html_of_a_comparison_is_a_page_too(tmp_path: Path) -> None:
    result = simulate(tmp_path, "--compare", "--output", "html", "--jobs", "1")
    assert result.exit_code == 0
    assert "Autoscalers compared" in result.stdout


def test_a_page_is_not_written_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmendpoint.cli.report_output.is_terminal", lambda: True)
    result = simulate(tmp_path, "--output", "html")
    assert result.exit_code == 1
    assert "--output html > report.html" in result.stderr


def test_a_replica_of_other_gpus_than_the_profiles_is_noted(tmp_path: Path) -> None:
    engine = {"nodesPerReplica": 2, "resources": {"limits": {"nvidia.com/gpu": 8}}}
    assert "takes 16 GPUs, and one of engine profile a10g-llama-8b 1: speed" in simulate(tmp_path, engine=engine).stderr


def test_another_mode_is_simulated_as_active_with_a_note(tmp_path: Path) -> None:
    dry = simulate(tmp_path, "--output", "json", scaling={"maxReplicas": 8, "mode": "DryRun"})
    active = simulate(tmp_path, "--output", "json")
    assert "scaling.mode is DryRun; simulated as Active" in dry.stderr
    assert json.loads(dry.stdout)["gpu_hours"] == json.loads(active.stdout)["gpu_hours"]


def test_bounds_hold_from_the_start(tmp_path: Path) -> None:
    result = simulate(tmp_path, "--output", "json", scaling={"minReplicas": 3, "maxReplicas": 3})
    assert json.loads(result.stdout)["max_replicas_seen"] == 3


def test_prompts_that_no_replica_can_hold_are_told_of(tmp_path: Path) -> None:
    result = simulate(tmp_path, "--output", "json", trace="poisson:rate=0.1,hours=0.2,input=40000,length_cv=0")
    figures = json.loads(result.stdout)
    assert figures["unfinished"] == figures["requests"] == figures["refused"]
    assert "larger than a replica's KV cache" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "spec", "sentence"),
    [
        (["--engine-profile", "b200"], {}, "give one of 4xh100-llama-70b"),
        ([], {"scaling": None}, "has no spec.scaling"),
        ([], {"scaling": {"maxReplicas": 0}}, "spec.scaling.maxReplicas"),
        (
            [],
            {
                "scaling": {
                    "maxReplicas": 3,
                    "policy": "TargetTracking",
                    "targets": [{"type": "PromQL", "value": 1, "query": "up"}],
                    "metrics": {"source": "Prometheus", "prometheus": {"url": "http://prometheus:9090"}},
                }
            },
            "PromQL target",
        ),
    ],
)
def test_what_can_not_be_simulated_is_said(
    tmp_path: Path, arguments: list[str], spec: dict[str, Any], sentence: str
) -> None:
    result = simulate(tmp_path, *arguments, **spec)
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert result.stdout == ""


def test_a_trace_that_is_not_there_is_said(tmp_path: Path) -> None:
    result = simulate(tmp_path, trace=str(tmp_path / "none.csv"))
    assert result.exit_code == 1
    assert "none.csv': give a file or one of the generators" in result.stderr


def test_a_file_with_two_endpoints_is_refused(tmp_path: Path) -> None:
    simulate(tmp_path)
    text = (tmp_path / "endpoint.yaml").read_text()
    (tmp_path / "two.yaml").write_text(f"{text}---\n{text}")
    result = CliRunner().invoke(
        app, ["simulate", "-f", str(tmp_path / "two.yaml"), "--trace", "poisson", "--cold-start", "60",
              "--engine-profile", "a10g-llama-8b"],
    )  # fmt: skip
    assert result.exit_code == 1
    assert "has 2 LLMEndpoints" in result.stderr


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_numba(name: str, *arguments: Any, **named: Any) -> Any:
        if name.startswith("llmendpoint.simulate"):
            raise ModuleNotFoundError(name="numba")
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without_numba)
    result = simulate(tmp_path)
    assert result.exit_code == 1
    assert "simulate needs numba: pip install 'llmendpoint-operator[cli,simulate]'" in result.stderr
