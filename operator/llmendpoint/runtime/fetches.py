"""Asks the pods that fetch models how far they are."""

from typing import Any

import aiohttp

from llmendpoint.api import names
from llmendpoint.reconcile.fetch_progress import FetchProgress, read_progress
from llmendpoint.runtime.pod_watch import PodWatch
from llmendpoint.runtime.store import Key, Store

# Between two looks, each of which becomes a write of the status while figures move.
PERIOD_SECONDS = 10.0


class Fetches(PodWatch[FetchProgress]):
    """An endpoint has one such pod at most; two while one is being replaced."""

    component = names.COMPONENT_PREFETCH
    path = "/progress"

    def __init__(self, session: aiohttp.ClientSession, store: Store) -> None:
        super().__init__(session, store, longest_seconds=PERIOD_SECONDS, again_seconds=PERIOD_SECONDS)

    def progress(self, key: Key) -> FetchProgress | None:
        """The last figures of an endpoint; None where they are not known."""
        heard = max(self.heard(key), default=None, key=lambda heard: heard[0])
        return heard[1] if heard else None

    def read(self, answer: Any) -> FetchProgress:
        """The figures as a pod tells them."""
        return read_progress(answer)

    def waits(self, answer: FetchProgress) -> bool:  # noqa: ARG002 - every answer is news
        """Whether the endpoint is to be looked at."""
        return True
