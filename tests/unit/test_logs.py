"""The operator's log: one JSON object per line, one line per change and not per tick."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from llmendpoint.logs import set_up_logs
from llmendpoint.runtime.memory import Memories
from llmendpoint.runtime.queue import WorkQueue
from llmendpoint.settings import Settings
from support.builders import NOW
from support.ticks import stored, ticker_of


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield io.StringIO()
    structlog.reset_defaults()
    root.handlers[:], root.level = before


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


async def test_a_change_and_a_hold_are_told_once_and_not_at_each_tick(out: io.StringIO) -> None:
    set_up_logs(Settings(), out)
    now = [NOW]
    ticker = ticker_of(stored(llama={"minReplicas": 2, "maxReplicas": 3}), WorkQueue(), lambda: now[0], Memories())
    for _ in range(5):
        await ticker.tick()
        now[0] += 10
    change, hold = lines(out)
    assert (hold["from"], hold["to"], hold["reason"], hold["held_by"]) == (2, 2, "Held", "Bounds")
    assert change.pop("timestamp").endswith("Z")
    assert "scale out 1 -> 2" in change.pop("sentence")
    assert change == {
        "event": "decided", "level": "info", "namespace": "team", "endpoint": "llama", "mode": "Active",
        "from": 1, "to": 2, "reason": "ScaleOut", "held_by": "Bounds",
    }  # fmt: skip


async def test_debug_tells_of_every_tick(out: io.StringIO) -> None:
    set_up_logs(Settings(log_level="debug"), out)
    ticker = ticker_of(stored(llama={"maxReplicas": 3}), WorkQueue(), lambda: NOW, Memories())
    for _ in range(3):
        await ticker.tick()
    assert [line["event"] for line in lines(out) if line["level"] == "debug"] == ["decided"] * 3


def test_libraries_write_json_too(out: io.StringIO) -> None:
    set_up_logs(Settings(), out)
    logging.getLogger("kopf.activities").warning("watch of %s ended", "pods")
    logging.getLogger("aiohttp.server").error("Error handling request", exc_info=ValueError("boom"))
    logging.getLogger("kopf").info("not told")
    first, second = lines(out)
    assert (first["event"], first["logger"], first["level"]) == ("watch of pods ended", "kopf.activities", "warning")
    assert "ValueError: boom" in second["exception"]


def test_people_get_text(out: io.StringIO) -> None:
    set_up_logs(Settings(log_format="console"), out)
    structlog.get_logger().info("decided", endpoint="llama")
    assert "decided" in out.getvalue()
    assert "endpoint=llama" in out.getvalue()
    assert "\x1b" not in out.getvalue()
