"""docs/observability.md names every alert with its severity and no other."""

import re

import yaml

from localcluster.paths import ROOT

PAGE = ROOT / "docs" / "observability.md"
RULES = ROOT / "charts" / "llmendpoint-operator" / "files" / "alerts.yaml"


def test_it_lists_the_alerts() -> None:
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    listed = re.findall(r"^\| \[(\w+)\]\(runbooks/(\w+)\.md\) \| (\w+) \|", PAGE.read_text(), re.MULTILINE)
    assert listed == [(rule["alert"], rule["alert"], rule["labels"]["severity"]) for rule in rules]
