"""The report of a comparison in a browser: it draws, tells on hover, and fits."""

import pytest

from browser.conftest import PHONE, Open, hover
from llmendpoint.report.comparison import comparison_report
from support.replays import compared


@pytest.fixture(scope="module")
def report() -> str:
    return comparison_report(compared(), endpoint="llama")


def test_every_policy_has_its_point_its_row_and_its_panel(report: str, open_report: Open) -> None:
    page = open_report(report)
    policies = len(compared().results)
    points = page.evaluate("document.querySelectorAll('#frontier .scatterlayer .textpoint').length")
    assert points == page.locator("table.policies tbody tr").count() == policies
    assert page.locator("#courses .panel-head").count() == policies
    assert page.locator("#courses .cartesianlayer > .subplot").count() == policies


def test_hover_tells_of_a_policy_and_of_all_at_a_time(report: str, open_report: Open) -> None:
    page = open_report(report)
    result = compared().results["hpa"].result
    place = result.gpu_hours, 1.0 - result.ttft_attainment
    hover(page, "frontier", *place, says=f"{result.scale_outs} scale-outs, {result.scale_ins} scale-ins")
    for name in ("demand", "hpa", "ray-serve"):
        hover(page, "courses", 600_000, says=f"{name} ")


@pytest.mark.parametrize("look", ["light", "dark"])
def test_a_phone_shows_all_without_scrolling_sideways(report: str, open_report: Open, look: str) -> None:
    page = open_report(report, PHONE, color_scheme=look)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
