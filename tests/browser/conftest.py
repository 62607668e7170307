"""A headless Chromium, the machine's own or Debian's, without a network."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from localcluster import packages
from localcluster.errors import LocalClusterError

LAPTOP, PHONE = (1440, 900), (390, 844)
Open = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    try:
        program = packages.browser()
    except LocalClusterError as error:
        pytest.skip(f"no browser: {error}")
    with sync_playwright() as playwright:
        # As root there is no sandbox; the others are what a browser asks the network for by itself.
        arguments = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update"]
        yield playwright.chromium.launch(executable_path=program, args=arguments)


@pytest.fixture
def open_report(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Show a report; at the end nothing may have been asked of the network or been said on the console."""
    asked: list[str] = []
    said: list[str] = []

    def show(text: str, size: tuple[int, int] = LAPTOP, **context: object) -> Page:
        file = tmp_path / "report.html"
        file.write_text(text)
        width, height = size
        page = browser.new_context(
            offline=True, viewport={"width": width, "height": height}, has_touch=size == PHONE, is_mobile=size == PHONE,
            **context,  # type: ignore[arg-type]
        ).new_page()  # fmt: skip
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(file.as_uri())
        page.wait_for_selector(".plot .xy")
        return page

    yield show
    assert {url for url in asked if not url.startswith(("file:", "data:", "blob:"))} == set()
    assert said == []
    for context in browser.contexts:
        context.close()


def hover(page: Page, chart: str, x: float, y: float | None = None, *, says: str) -> None:
    """Point at a place of a chart's data, and wait until its label says that, however its lines are broken.

    Without y: at x, near the top of the first panel.
    """
    left, top = page.evaluate(
        """([chart, x, y]) => {
          const plot = document.querySelector(`#${chart} .plot`);
          plot.scrollIntoView();
          const {left, top} = plot.getBoundingClientRect(), {xaxis, yaxis} = plot._fullLayout;
          return [
            left + xaxis._offset + xaxis.d2p(x),
            top + yaxis._offset + (y === null ? 20 : yaxis.d2p(y)),
          ];
        }""",
        [chart, x, y],
    )
    page.mouse.move(left - 3, top)
    page.mouse.move(left, top, steps=3)
    page.wait_for_function(
        """([chart, words]) => document.querySelector(`#${chart} .hoverlayer`).textContent
          .replace(/\\s/g, "").includes(words)""",
        arg=[chart, "".join(says.split())],
    )
