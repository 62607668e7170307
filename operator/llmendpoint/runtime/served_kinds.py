"""Which kinds of other projects the API server serves now: they are installed and removed while the operator runs."""

import asyncio
import time
from collections.abc import Sequence
from http import HTTPStatus

import structlog

from llmendpoint.api import names
from llmendpoint.cluster.client import Cluster
from llmendpoint.cluster.errors import ClusterError, Forbidden, NotFound
from llmendpoint.cluster.kinds import OPTIONAL_CHILDREN, Kind
from llmendpoint.runtime.store import Store

log = structlog.get_logger(__name__)

ASK_SECONDS = 60.0
"""Time between two questions, one small answer for each kind, while nothing else is listed."""


class ServedKinds:
    """Asks the API server again and again, and keeps the last answer here and in the store."""

    def __init__(self, cluster: Cluster, store: Store, namespaces: Sequence[str | None]) -> None:
        self.kinds: frozenset[Kind] = frozenset()
        self._cluster = cluster
        self._store = store
        self._namespaces = namespaces
        self._listed: frozenset[Kind] = frozenset()
        """Those that it may list, as far as it is known."""
        self._refused: frozenset[Kind] = frozenset()
        self._answered = asyncio.Event()

    async def ask(self) -> bool:
        """Ask now. Returns whether the answer is another than before.

        Raises:
            ClusterError: there was no answer, and the one from before stays.
        """
        before = self.kinds
        self.kinds = frozenset([kind for kind in OPTIONAL_CHILDREN if await self._is_of_use(kind)])
        self._listed = self.kinds
        self._refused -= self.kinds
        self._store.served = frozenset(kind.kind for kind in self.kinds)
        for kind in self.kinds - before:
            log.info("a kind is served from now on", kind=kind.kind, api_version=kind.api_version)
        for kind in before - self.kinds:
            log.info("a kind is served no more", kind=kind.kind, api_version=kind.api_version)
        self._answered.set()
        self._answered = asyncio.Event()
        return self.kinds != before

    def doubt(self) -> None:
        """A listing failed: see at the next question whether each kind may still be listed."""
        self._listed = frozenset()

    async def next_answer(self) -> None:
        """Wait until it was asked once more."""
        await self._answered.wait()

    async def changed_within(self, seconds: float) -> None:
        """Wait so long, but not on after the answer has changed."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > ASK_SECONDS:
            await asyncio.sleep(ASK_SECONDS)
            try:
                if await self.ask():
                    return
            except ClusterError as error:
                log.warning("it is not known which kinds are served", error=str(error))
        await asyncio.sleep(left)

    async def _is_of_use(self, kind: Kind) -> bool:
        """Whether a kind is served, and may be listed: a role from before it was known must not stop all the rest."""
        try:
            if not await self._cluster.serves(kind):
                return False
            if kind not in self._listed:
                for namespace in self._namespaces:
                    await anext(self._cluster.each(kind, namespace, names.LABEL_ENDPOINT), None)
        except NotFound:
            return False
        except Forbidden as error:
            if error.status == HTTPStatus.UNAUTHORIZED:
                raise  # nothing was said of the kind
            if kind not in self._refused:
                log.warning("a kind is served and can not be used", kind=kind.kind, error=str(error))
            self._refused |= {kind}
            return False
        return True
