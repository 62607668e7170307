"""The report of one replay in a browser: it draws, tells on hover, and fits."""

from typing import Any

import pytest
from playwright.sync_api import Page

from browser.conftest import PHONE, Open, hover
from support.replays import replayed

TRACES_BY_PANEL = "panel => [...panel.querySelectorAll('.trace')].map(trace => trace.querySelectorAll('path').length)"


@pytest.fixture(scope="module")
def report() -> str:
    return replayed().report


def background(page: Page) -> Any:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_each_panel_has_its_traces(report: str, open_report: Open) -> None:
    page = open_report(report)
    panels = page.evaluate(f"[...document.querySelectorAll('.plot .cartesianlayer > .subplot')].map({TRACES_BY_PANEL})")
    assert len(panels) == 5
    assert all(any(paths for paths in panel) for panel in panels)
    titles = page.locator(".panel-head h3").all_text_contents()
    assert [title.split(",")[0] for title in titles] == [
        "Replicas", "Queue", "Time to first token", "Decisions", "GPU-hours paid so far",
    ]  # fmt: skip


def test_hover_tells_the_sentence_of_a_decision(report: str, open_report: Open) -> None:
    change = replayed().changes[0]
    hover(open_report(report), "timeline", 1000 * change.time, says=change.sentence)


def test_the_look_follows_the_system_and_the_button(report: str, open_report: Open) -> None:
    light, dark = open_report(report), open_report(report, color_scheme="dark")
    assert background(light) != background(dark)
    line = "getComputedStyle(document.querySelector('.plot .xtick text')).fill"
    before = light.evaluate(line)
    light.click("#look")
    assert background(light) == background(dark)
    assert light.evaluate(line) == dark.evaluate(line) != before


def test_a_name_in_a_legend_hides_its_trace(report: str, open_report: Open) -> None:
    page = open_report(report)
    visible = "document.querySelector('.plot').data.find(trace => trace.name === 'ordered').visible !== false"
    button = page.get_by_role("button", name="ordered")
    assert page.evaluate(visible)
    button.click()
    assert not page.evaluate(visible)
    assert button.get_attribute("aria-pressed") == "false"


def test_the_table_is_filtered_and_leads_to_the_chart(report: str, open_report: Open) -> None:
    page = open_report(report)
    changes = replayed().changes
    page.select_option("#direction", "scale-in")
    ins = sum(change.after < change.before for change in changes)
    assert page.locator("#changes tbody tr:visible").count() == ins
    assert page.locator("#shown").text_content() == f"{ins} of {len(changes)}"
    page.locator("#changes tbody tr:visible button").first.click()
    first, last = page.evaluate("document.querySelector('.plot')._fullLayout.xaxis.range.map(Date.parse)")
    assert last - first == 1_800_000


def test_a_tap_tells_too_and_all_of_it_is_seen(report: str, open_report: Open) -> None:
    page = open_report(report, PHONE)
    page.locator(".plot").scroll_into_view_if_needed()
    page.tap(".plot .nsewdrag >> nth=0")
    page.wait_for_selector(".hoverlayer text")
    assert "GPU-hours so far" in str(page.locator(".hoverlayer").text_content())
    label = page.locator(".hoverlayer .legend .bg").bounding_box()
    assert label is not None
    assert 0 <= label["x"] <= label["x"] + label["width"] <= PHONE[0]


@pytest.mark.parametrize("look", ["light", "dark"])
def test_a_phone_shows_all_without_scrolling_sideways(report: str, open_report: Open, look: str) -> None:
    page = open_report(report, PHONE, color_scheme=look)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
    assert page.locator(".plot .main-svg").first.bounding_box()["width"] <= PHONE[0]  # type: ignore[index]


def test_the_page_says_what_it_is(report: str, open_report: Open) -> None:
    page = open_report(report)
    assert page.title() == "llama on spike: simulated scaling"
    assert page.get_attribute("html", "lang") == "en"
    assert page.locator("h1").count() == 1
    assert "over time" in str(page.get_attribute(".plot", "aria-label"))
