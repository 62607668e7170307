"""Watches the kinds of other projects, each from when the API server serves it until it does no more.

kopf finds the kinds that it watches once, unless the operator may watch all definitions of kinds, and ends where one of
them goes. Its own watch of one kind knows nothing of that, and is what these watches are made of.
"""

import asyncio
from collections.abc import Sequence

import aiohttp
import kopf
import structlog
from kopf._cogs.clients.errors import APIError
from kopf._cogs.clients.watching import Bookmark, WatchingError, infinite_watch
from kopf._cogs.structs.references import NamespaceName, Resource

from llmendpoint.cluster.kinds import Kind
from llmendpoint.handlers.events import pass_on
from llmendpoint.runtime.operator import Operator

log = structlog.get_logger(__name__)


async def watch_optional(operator: Operator, namespaces: Sequence[str | None], settings: kopf.OperatorSettings) -> None:
    """Feed the operator for ever with watch events of the optional kinds that are served.

    Args:
        namespaces: None is all of them.
    """
    watches: dict[tuple[Kind, str | None], asyncio.Task[None]] = {}
    try:
        while True:
            wanted = {(kind, namespace) for kind in operator.served_kinds.kinds for namespace in namespaces}
            for gone in watches.keys() - wanted:
                watches.pop(gone).cancel()
            for key in wanted:
                if key not in watches or watches[key].done():
                    watches[key] = asyncio.create_task(_watch(operator, *key, settings))
            await operator.served_kinds.next_answer()
    finally:
        for task in watches.values():
            task.cancel()


async def _watch(operator: Operator, kind: Kind, namespace: str | None, settings: kopf.OperatorSettings) -> None:
    """Pass the events of one kind on. It ends where the kind goes; the next answer of the API server begins it anew."""
    resource = Resource(kind.group, kind.version, kind.plural, kind=kind.kind, namespaced=True)
    where = NamespaceName(namespace) if namespace else None
    try:
        async for event in infinite_watch(settings=settings, resource=resource, namespace=where):
            if not isinstance(event, Bookmark) and event["type"] != "BOOKMARK":
                pass_on(operator, event)
    except (APIError, WatchingError, aiohttp.ClientError, OSError) as error:
        log.info("watch ended", kind=kind.kind, namespace=namespace, error=f"{type(error).__name__}: {error}")
    except Exception:
        log.exception("watch ended", kind=kind.kind, namespace=namespace)
