"""The report of one replay: what is in its file and in its chart."""

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from llmendpoint.report.holds import Hold, holds
from llmendpoint.report.replay import replay_report
from llmendpoint.report.thinning import changes, envelope, evenly
from llmendpoint.report.units import clock, count, duration, seconds, share
from llmendpoint.scaling.decision import Outcome
from llmendpoint.simulate.replay import Faults
from llmendpoint.simulate.results import Moment
from support.builders import decision
from support.replays import replayed


def chart(report: str) -> Any:
    found = re.search(r'<script type="application/json" data-chart="timeline">(.*?)</script>', report, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_the_figures_and_the_sentences_are_in_the_page() -> None:
    given = replayed()
    report = given.report
    assert f"<dd>{share(given.result.ttft_attainment)}</dd>" in report
    assert f"{1.5 * given.result.gpu_hours:,.2f}" in report
    for change in given.changes:
        assert change.sentence.replace(">", "&gt;") in report


def test_without_a_price_there_is_no_cost() -> None:
    given = replayed()
    report = replay_report(given.result, given.scenario, endpoint="llama", trace="spike", slo_attainment=0.99)
    assert "<dt>Cost</dt>" not in report


def test_names_and_sentences_are_text_whatever_is_in_them() -> None:
    given = replayed()
    evil = "</script><script>alert(1)</script>"
    first, *others = given.changes
    result = replace(given.result, moments=[replace(first, sentence=evil), *others])
    report = replay_report(result, given.scenario, endpoint=evil, trace=evil, slo_attainment=0.99)
    assert evil not in report


def test_all_traces_of_the_panels_are_drawn() -> None:
    names = {trace.get("name") for trace in chart(replayed().report)["data"]}
    assert names >= {
        "ready", "starting", "unschedulable", "ordered", "demand", "in flight", "waiting", "p50", "p50 to p95",
        "objective (p95)", "hold window", "scale-out", "scale-in",
    }  # fmt: skip


def test_every_colour_of_a_chart_is_one_of_the_page_in_both_looks() -> None:
    report = replayed().report
    used = set(re.findall(r"var\((--[a-z-]+)\)", json.dumps(chart(report))))
    light, dark = re.findall(r":root(?:\[data-look=\"dark\"\])? \{(.*?)\}", report, re.DOTALL)
    for look in (light, dark):
        assert used <= set(re.findall(r"(--[a-z0-9-]+):", look))


def test_a_rule_holds_until_the_next_moment() -> None:
    def moment(time: float, held_by: str | None) -> Moment:
        return Moment(time, 1, 1, "", decision(time, 1, held_by=held_by))

    moments = [moment(10, "HoldWindow"), moment(30, "HoldWindow"), moment(50, None), moment(80, "Bounds")]
    assert holds(moments, 100.0) == [Hold("HoldWindow", 10, 50), Hold("Bounds", 80, 100)]
    assert holds([], 100.0) == holds([Moment(0.0, 1, 2, "planned")], 100.0) == []


def test_time_without_metrics_is_a_hold_of_its_own() -> None:
    unknown = decision(10, 1, held_by="Bounds", reason=Outcome.METRICS_UNKNOWN)
    assert holds([Moment(10, 1, 1, "", unknown)], 20.0) == [Hold("MetricsUnknown", 10, 20)]


def test_a_crash_is_marked() -> None:
    given = replayed()
    scenario = replace(given.scenario, faults=Faults(crashes=[700.0]))
    report = replay_report(given.result, scenario, endpoint="llama", trace="spike", slo_attainment=0.99)
    assert "crash" in {trace.get("name") for trace in chart(report)["data"]}


def test_an_envelope_loses_no_extreme_and_little_is_left_as_it_is() -> None:
    times = np.arange(1000.0)
    values = np.sin(times)
    values[437] = 9.0
    thin = envelope(times, values, 50)
    assert len(thin.means) == 50
    assert (thin.most.max(), thin.least.min()) == (9.0, values.min())
    assert thin.means.mean() == pytest.approx(values.mean())
    whole = envelope(times, values, 5000)
    assert whole.means.tolist() == whole.least.tolist() == values.tolist()


def test_a_step_line_keeps_each_change_and_both_ends() -> None:
    one, two = np.array([1.0, 1, 2, 2, 2, 2]), np.array([0.0, 0, 0, 0, 3, 3])
    assert changes([one, two]).tolist() == [0, 2, 4, 5]
    assert evenly(101, 3).tolist() == [0, 50, 100]


def test_units_are_short_and_never_flatter() -> None:
    assert [clock(at) for at in (59.6, 3661, 90000)] == ["0:01:00", "1:01:01", "1 d 1:00:00"]
    assert [duration(at) for at in (90, 900, 7200, 604_880)] == ["90 s", "15 min", "2 h", "7 days"]
    assert (share(0.98999), share(1.0), share(0.29)) == ("98.99 %", "100.00 %", "29.00 %")
    assert (seconds(0.714), seconds(33.3)) == ("0.71 s", "33 s")
    assert (count(949.4), count(13.135), count(3.0), count(3)) == ("949", "13.1", "3.0", "3")
