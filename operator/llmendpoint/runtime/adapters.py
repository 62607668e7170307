"""Asks the loaders of LoRA adapters what their engines serve."""

from typing import Any

import aiohttp

from llmendpoint.api import names
from llmendpoint.reconcile.adapters import AdapterReport, Reports, parse_report
from llmendpoint.runtime.pod_watch import PodWatch
from llmendpoint.runtime.store import Key, Store

WATCH_SECONDS = 25.0
AGAIN_SECONDS = 1.0


class Adapters(PodWatch[tuple[AdapterReport, ...]]):
    """Engine pods without a loader have no such port, and are not asked."""

    component = names.COMPONENT_ENGINE
    path = "/adapters"
    # 64 adapters with all that they may say of themselves.
    longest_answer = 256 * 1024

    def __init__(self, session: aiohttp.ClientSession, store: Store) -> None:
        super().__init__(session, store, longest_seconds=WATCH_SECONDS, again_seconds=AGAIN_SECONDS)

    def reports(self, key: Key) -> Reports:
        """The last answer of each pod of an endpoint."""
        return {pod[1]: self._answers[pod][1] for pod in self._watches.get(key, ()) if pod in self._answers}

    def read(self, answer: Any) -> tuple[AdapterReport, ...]:
        """What one loader says."""
        return parse_report(answer)

    def waits(self, answer: tuple[AdapterReport, ...]) -> bool:
        """Whether it is on something. It answers when that is over, or something else begins."""
        del answer
        return False

    def is_news(self, before: tuple[AdapterReport, ...] | None, answer: tuple[AdapterReport, ...]) -> bool:
        """Whether status may say something else now."""
        return answer != before
