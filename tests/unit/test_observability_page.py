"""docs/observability.md names every alert with its severity and no other, and links what exists."""

import re

import yaml

from localcluster.paths import ROOT

PAGE = ROOT / "docs" / "observability.md"
RULES = ROOT / "charts" / "llmendpoint-operator" / "files" / "alerts.yaml"


def test_it_lists_the_alerts() -> None:
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    listed = re.findall(r"^\| \[(\w+)\]\(runbooks/(\w+)\.md\) \| (\w+) \|", PAGE.read_text(), re.MULTILINE)
    assert listed == [(rule["alert"], rule["alert"], rule["labels"]["severity"]) for rule in rules]


def test_its_links_lead_somewhere() -> None:
    for page in (PAGE, *(ROOT / "docs" / "runbooks").iterdir()):
        for link in re.findall(r"\]\(([^):]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
