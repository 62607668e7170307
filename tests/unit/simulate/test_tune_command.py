"""``llmendpoint tune``: what it prints."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from llmendpoint.api.scaling import Scaling
from llmendpoint.cli.main import app
from llmendpoint.simulate import parallel
from support.builders import endpoint_file


def tune(directory: Path, *arguments: str, trace: str = "poisson:rate=1,hours=0.3", **scaling: Any) -> Result:
    path = endpoint_file(directory, scaling={"maxReplicas": 4, **scaling})
    return CliRunner().invoke(
        app,
        ["tune", "-f", str(path), "--trace", trace, "--cold-start", "60", "--engine-profile", "a10g-llama-8b",
         "--jobs", "1", "--trials", "5", *arguments],
        env={"COLUMNS": "80"},
    )  # fmt: skip


def test_yaml_is_the_spec_to_paste(tmp_path: Path) -> None:
    result = tune(tmp_path, "-o", "yaml", scaleIn={"maxStep": 2})
    assert result.exit_code == 0
    found = yaml.safe_load(result.stdout)["spec"]["scaling"]
    assert found["scaleIn"]["maxStep"] == 2
    Scaling.model_validate(found)
    assert result.stderr.strip()


def test_json_has_the_settings_the_frontier_and_how_it_was_before(tmp_path: Path) -> None:
    found = json.loads(tune(tmp_path, "-o", "json").stdout)
    assert found["trials"] == 5
    assert found["best"] in found["frontier"]
    assert found["current"]["values"] == {}
    for trial in (found["current"], *found["frontier"]):
        assert trial["scored"]["requests"] > 0
    assert found["scaling"]["maxReplicas"] == 4


def test_the_table_fits_a_terminal_and_ends_with_what_to_paste(tmp_path: Path) -> None:
    result = tune(tmp_path)
    assert result.exit_code == 0
    table, _, spec = result.stdout.partition("\nspec:")
    assert "as it is" in table
    assert "…" not in table
    assert yaml.safe_load(f"spec:{spec}")["spec"]["scaling"]["maxReplicas"] == 4


def test_settings_that_can_not_help_are_said_to(tmp_path: Path) -> None:
    result = tune(tmp_path, trace="poisson:rate=9,hours=0.2", maxReplicas=1)
    assert "No settings reach 99 %" in result.stdout


def test_ctrl_c_prints_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, done = parallel.replay, []

    def pressed(*arguments: Any) -> Any:
        done.append(1)
        if len(done) > 5:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(parallel, "replay", pressed)
    result = tune(tmp_path)
    assert result.exit_code == 0
    assert "interrupted after 4 of 5 trials" in result.stderr
    assert "spec:" in result.stdout
