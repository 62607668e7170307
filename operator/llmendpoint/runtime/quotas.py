"""ResourceQuotas, read when a replica is about to be ordered."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from llmendpoint.cluster.errors import ClusterError
from llmendpoint.reconcile.observation import Manifest

log = structlog.get_logger(__name__)

QuotaReader = Callable[[str], Awaitable[Sequence[Manifest]]]
"""The quotas of a namespace as the API server has them now."""

# Reading must not hold up the decisions on other endpoints.
LONGEST_READ_SECONDS = 3.0


class Quotas:
    """The quotas of one tick: each namespace is read once, and not at all where nothing is ordered.

    Without an answer nothing is held back: what a quota refuses is then seen as a refused pod.
    """

    def __init__(self, read: QuotaReader) -> None:
        self._read = read
        self._by_namespace: dict[str, Sequence[Manifest]] = {}
        self._given_up = False

    async def of(self, namespace: str) -> Sequence[Manifest]:
        """The quotas of a namespace; none where they can not be read."""
        if namespace not in self._by_namespace and not self._given_up:
            try:
                async with asyncio.timeout(LONGEST_READ_SECONDS):
                    self._by_namespace[namespace] = await self._read(namespace)
            except (ClusterError, TimeoutError) as error:
                self._given_up = True
                log.warning("quotas not read", namespace=namespace, error=str(error) or "no answer")
        return self._by_namespace.get(namespace, ())
