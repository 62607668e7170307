"""The list of metrics is what the operator exports, no less and no more, and follows Prometheus' conventions."""

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from llmendpoint.metrics import families
from llmendpoint.metrics.families import Family
from support.exports import filled_exporter

EVERY = (*families.OPERATOR, *families.SCALER, *families.ENDPOINT)


async def test_what_is_listed_is_what_is_exported() -> None:
    exported = {}
    for metric in text_string_to_metric_families((await filled_exporter()).text().decode()):
        labels = {name for sample in metric.samples for name in sample.labels if name != "le"}
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        # process_* are those of every program; the operator's turns _created off for the whole process.
        if not name.startswith("process_") and not name.endswith("_created"):
            exported[name] = (metric.type, metric.documentation, labels)
    assert exported == {family.name: (family.kind, family.meaning, set(family.labels)) for family in EVERY}


def test_every_family_is_in_one_list() -> None:
    declared = [family for family in vars(families).values() if isinstance(family, Family)]
    assert sorted(family.name for family in EVERY) == sorted(family.name for family in declared)


@pytest.mark.parametrize("family", EVERY, ids=lambda family: family.name)
def test_names_follow_the_conventions(family: Family) -> None:
    assert re.fullmatch(r"llmendpoint_[a-z_]+", family.name)
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert not re.search(r"_(ms|milliseconds|minutes|percent)(_|$)", family.name)
    assert family.meaning.endswith(".")
