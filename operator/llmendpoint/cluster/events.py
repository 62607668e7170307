"""Events (events.k8s.io/v1) for what a person wants to know, each said once."""

import asyncio
import hashlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import structlog

from llmendpoint.api import names
from llmendpoint.cluster.client import Cluster
from llmendpoint.cluster.errors import ClusterError

log = structlog.get_logger(__name__)

REPEAT_SECONDS = 600.0
NOTE_LENGTH = 1024  # the API server refuses longer notes
REMEMBERED = 10_000
# Beyond that the oldest are given up: the newer ones say more.
MOST_WAITING = 10_000


class Recorder:
    """Writes events about endpoints and batches, one after the other: none holds up a reconcile.

    A failure to write one is logged and otherwise ignored, and what waits when the process ends is lost.
    """

    def __init__(self, cluster: Cluster, *, instance: str) -> None:
        self._cluster = cluster
        self._instance = instance
        self._said: dict[tuple[str, str, str], float] = {}
        self._waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MOST_WAITING)

    async def run(self) -> None:
        """Write what is said, for ever."""
        while True:
            event = await self._waiting.get()
            try:
                await self._cluster.create(event)
            except ClusterError as error:
                about = event["regarding"]["name"]
                log.warning("event not written", about=about, reason=event["reason"], error=str(error))
            except Exception:
                log.exception("event not written")

    def record(
        self,
        about: Mapping[str, Any],
        reason: str,
        note: str,
        *,
        kind: Literal["Normal", "Warning"] = "Normal",
        action: str = "Reconcile",
    ) -> None:
        """Let ``note`` be said about an object, unless the same was said within the last ten minutes."""
        metadata = about["metadata"]
        key = (metadata["uid"], reason, note)
        now = time.monotonic()
        if now - self._said.get(key, -REPEAT_SECONDS) < REPEAT_SECONDS:
            return
        if len(self._said) >= REMEMBERED:
            self._said = {k: at for k, at in self._said.items() if now - at < REPEAT_SECONDS}
        self._said[key] = now
        at = datetime.now(UTC)
        digest = hashlib.sha256(f"{key}{at.isoformat()}".encode()).hexdigest()[:16]
        event: dict[str, Any] = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{digest}", "namespace": metadata["namespace"]},
            "eventTime": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "type": kind,
            "reason": reason,
            "note": note[:NOTE_LENGTH],
            "action": action,
            "reportingController": f"{names.GROUP}/operator",
            "reportingInstance": self._instance,
            "regarding": {
                "apiVersion": names.API_VERSION,
                "kind": about["kind"],
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
            },
        }
        if self._waiting.full():
            self._waiting.get_nowait()
        self._waiting.put_nowait(event)
