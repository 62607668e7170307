"""Asks every activator how many requests it holds."""

from typing import Any

import aiohttp

from llmendpoint.api import names
from llmendpoint.runtime.pod_watch import PodWatch
from llmendpoint.runtime.store import Key, Store

WATCH_SECONDS = 25.0
AGAIN_SECONDS = 1.0
MOST_WAITING = 1_000_000


class Waker(PodWatch[int]):
    """Terminating activators go on holding what they have."""

    component = names.COMPONENT_ACTIVATOR
    path = "/waiting"

    def __init__(self, session: aiohttp.ClientSession, store: Store) -> None:
        super().__init__(session, store, longest_seconds=WATCH_SECONDS, again_seconds=AGAIN_SECONDS)

    def held(self, key: Key) -> int:
        """Requests that wait at the activators of an endpoint."""
        return sum(count for _, count in self.heard(key))

    def read(self, answer: Any) -> int:
        """Requests that wait at one activator."""
        return min(max(int(answer["waiting"]), 0), MOST_WAITING)

    def waits(self, answer: int) -> bool:
        """Whether any does."""
        return answer > 0
