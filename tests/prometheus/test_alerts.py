"""The chart's alerts: each fires where it should, with its numbers, asks for metrics that exist, and has a runbook."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmendpoint.metrics import families
from localcluster import packages
from localcluster.commands import run
from localcluster.paths import ROOT
from support.promql import metrics_in

RULES = ROOT / "charts" / "llmendpoint-operator" / "files" / "alerts.yaml"
RUNBOOKS = ROOT / "docs" / "runbooks"
CASES = Path(__file__).with_name("alerts.test.yaml")
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
}
HEADINGS = ["## What it means", "## How to look", "## What to do"]


def test_promtool_has_nothing_to_say_against_them() -> None:
    run([packages.promtool(), "check", "rules", "--lint-fatal", str(RULES)])


def test_each_fires_where_it_should_and_is_quiet_where_all_is_well() -> None:
    run([packages.promtool(), "test", "rules", str(CASES)])
    cases = yaml.safe_load(CASES.read_text())["tests"]
    fires = {test["alertname"] for case in cases for test in case["alert_rule_test"] if test.get("exp_alerts")}
    quiet = {test["alertname"] for test in cases[0]["alert_rule_test"]}
    assert fires == quiet == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_each_says_how_bad_it_is_and_what_to_do(name: str) -> None:
    annotations = ALERTS[name]["annotations"]
    assert ALERTS[name]["labels"]["severity"] in {"warning", "critical"}
    assert set(annotations) == {"summary", "description", "runbook_url"}
    assert re.search(r"\d|\$value", annotations["description"]), "a description has numbers"
    assert annotations["runbook_url"] == f"docs/runbooks/{name}.md"
    headings = re.findall(r"^#+ .*", (RUNBOOKS / f"{name}.md").read_text(), re.MULTILINE)
    assert headings == [f"# {name}", *HEADINGS]


def test_there_is_no_runbook_without_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.iterdir()} == set(ALERTS)


def test_they_ask_for_metrics_that_the_operator_has() -> None:
    known = {family.name for family in (*families.OPERATOR, *families.SCALER, *families.ENDPOINT)}
    asked = {metric for rule in ALERTS.values() for metric in metrics_in(str(rule))}
    assert asked - known <= {"llmendpoint_leader"}  # only where an election is held
