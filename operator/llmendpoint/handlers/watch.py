"""kopf's settings and its run: watch and hand over."""

import asyncio
from collections.abc import Callable
from typing import Any

import kopf
from kopf._cogs.structs.bodies import RawBody
from kopf._core.engines.peering import Identity
from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory

from llmendpoint.api import names
from llmendpoint.cluster.kinds import CHILDREN, JOB, OPTIONAL_CHILDREN, POD
from llmendpoint.handlers.events import register
from llmendpoint.handlers.optional import watch_optional
from llmendpoint.runtime.operator import Operator
from llmendpoint.settings import Settings


async def watch(operator: Operator, settings: Settings, *, catch_signals: Callable[[], None]) -> None:
    """Feed the operator with watch events for ever.

    Args:
        catch_signals: called when kopf has taken SIGTERM and SIGINT for itself: it would stop without a word to the
            rest of the process, which has a lease to give back first.
    """
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry)(_log_in)
    register(registry, operator)
    others = asyncio.all_tasks()
    kopf_settings = _kopf_settings()
    tasks = await kopf.spawn_tasks(
        registry=registry,
        settings=kopf_settings,
        memories=_NoMemories(),
        # kopf would derive one from the user name, and a container's user has none.
        identity=Identity(names.MANAGED_BY),
        standalone=True,  # a peering object of any other operator would pause this one
        clusterwide=not settings.watch_namespaces,
        namespaces=settings.watch_namespaces,
    )
    catch_signals()
    optional = asyncio.create_task(watch_optional(operator, settings.watch_namespaces or (None,), kopf_settings))
    # Where it fails it ends all the rest.
    await asyncio.gather(optional, kopf.run_tasks(tasks, ignored={*others, optional}))


def _kopf_settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    for kind in (*CHILDREN, *OPTIONAL_CHILDREN, POD):
        # Without a selector the operator would stream every Deployment and Pod of the cluster.
        settings.watching.label_selectors[kind.group, kind.version, kind.plural] = names.LABEL_ENDPOINT
    # Those of endpoints and of batches.
    managed = f"{names.LABEL_MANAGED_BY}={names.MANAGED_BY}"
    settings.watching.label_selectors[JOB.group, JOB.version, JOB.plural] = managed
    settings.watching.chunk_size = 100
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 310
    settings.watching.reconnect_backoff = 1.0
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.queueing.worker_limit = 100
    # An object's worker only passes events on. With kopf's 5 s, 100 of them would let 20 objects pass per second.
    settings.queueing.idle_timeout = 0.05
    settings.posting.enabled = False  # the operator writes its own events
    settings.scanning.disabled = True  # or it would need to list namespaces and CRDs
    settings.persistence.diffbase_storage = _NoDifferences()
    return settings


class _NoDifferences(kopf.DiffBaseStorage):
    """Nothing is compared with what was handled last: the handlers take every event.

    kopf copies each object twice for it otherwise, a third of the operator's work while pods come up.
    """

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None


class _NoMemories(ResourceMemories):
    """Nothing is kept of an object between its events: memos, timers and daemons are not used.

    With kopf's own a thousand endpoints, their children and their pods take 20 MiB more.
    """

    async def recall(self, raw_body: RawBody, **how: Any) -> ResourceMemory:
        return await super().recall(raw_body, **how | {"ephemeral": True})


def _log_in(**arguments: Any) -> kopf.ConnectionInfo | None:
    return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)
