"""Asks the API pods of spec.async how many jobs wait."""

import asyncio
from typing import Any

import aiohttp

from llmendpoint.api import names
from llmendpoint.runtime.pod_watch import PodWatch
from llmendpoint.runtime.store import Key, Store
from llmendpoint.scaling.job_queue import Backlog
from llmendpoint.scaling.signals import finite

# More than any endpoint may queue, and 30 years.
MOST_JOBS, MOST_SECONDS = 1e8, 1e9
# Longer a pod does not keep who asks waiting.
LONGEST_SECONDS = 30.0
# While jobs wait a tick needs one reading, and an endpoint that wakes needs no second call.
ASKED_PER_TICK = 2.0


class Backlogs(PodWatch[Backlog]):
    """All API pods of an endpoint tell of the same queue: the last answer counts.

    Args:
        period: seconds between two ticks.
        stale_seconds: an answer older than this counts as none.
    """

    component = names.COMPONENT_QUEUE
    path = "/backlog"

    def __init__(self, session: aiohttp.ClientSession, store: Store, *, period: float, stale_seconds: float) -> None:
        longest = min(period, LONGEST_SECONDS)
        super().__init__(session, store, longest_seconds=longest, again_seconds=period / ASKED_PER_TICK)
        self._stale_seconds = stale_seconds

    def backlog(self, key: Key) -> Backlog | None:
        """The jobs of an endpoint; None where they are not known."""
        heard = max(self.heard(key), default=None, key=lambda heard: heard[0])
        if heard is None or asyncio.get_running_loop().time() - heard[0] > self._stale_seconds:
            return None
        return heard[1]

    def read(self, answer: Any) -> Backlog:
        """The jobs as one pod tells of them."""
        queued, in_progress = (int(finite(float(answer[name]), most=MOST_JOBS)) for name in ("queued", "inProgress"))
        return Backlog(queued, in_progress, finite(float(answer["oldestSeconds"]), most=MOST_SECONDS))

    def waits(self, answer: Backlog) -> bool:
        """Whether any job has not been taken."""
        return answer.queued > 0
