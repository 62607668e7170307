"""Asks every activator who waits: the answer comes when somebody does, so that nobody waits for a tick to be seen."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import aiohttp

from llmendpoint.api import names
from llmendpoint.manifests.activator import CONTROL_PORT
from llmendpoint.metrics.source import host_port
from llmendpoint.reconcile.observation import Manifest, is_finished
from llmendpoint.runtime.store import Key, Store

WATCH_SECONDS = 25.0
SLACK_SECONDS = 5.0
LONGEST_ANSWER = 1024
MOST_WAITING = 1_000_000
# While somebody waits, and after an answer that came at once: a pod runs what its tenant wants.
AGAIN_SECONDS = 1.0
Activator = tuple[Key, str, str]
"""(endpoint, pod, host:port)"""


class Waker:
    """One open request to each activator pod, terminating ones included: they go on holding what they have."""

    def __init__(self, session: aiohttp.ClientSession, store: Store) -> None:
        self._session = session
        self._store = store
        self._timeout = aiohttp.ClientTimeout(total=WATCH_SECONDS + SLACK_SECONDS)
        self._watches: dict[Key, dict[Activator, asyncio.Task[None]]] = {}
        self._waiting: dict[Activator, int] = {}
        self._news: asyncio.Queue[Key] = asyncio.Queue()

    def held(self, key: Key) -> int:
        """Requests that wait at the activators of an endpoint."""
        return sum(self._waiting.get(one, 0) for one in self._watches.get(key, ()))

    def follow(self, key: Key) -> None:
        """Watch the activators that an endpoint has now, and no others."""
        known = self._watches.get(key, {})
        wanted = set(_activators(key, self._store.pods(key)))
        for gone in known.keys() - wanted:
            known.pop(gone).cancel()
            self._waiting.pop(gone, None)
        for one in wanted - known.keys():
            known[one] = asyncio.create_task(self._watch(one))
        if known:
            self._watches[key] = known
        else:
            self._watches.pop(key, None)

    async def run(self, wake: Callable[[Key], Awaitable[None]]) -> None:
        """Wake endpoints for ever; the watches end with it."""
        try:
            while True:
                await wake(await self._news.get())
        finally:
            for watches in self._watches.values():
                for task in watches.values():
                    task.cancel()

    async def _watch(self, one: Activator) -> None:
        (key, _, address), clock = one, asyncio.get_running_loop().time
        while True:
            asked_at = clock()
            self._waiting[one] = count = await self._ask(address)
            if count:
                self._news.put_nowait(key)
            if count or clock() - asked_at < AGAIN_SECONDS:
                await asyncio.sleep(AGAIN_SECONDS)

    async def _ask(self, address: str) -> int:
        """How many wait, not before one does or the watch is over. What can not be asked has nobody who waits."""
        url = f"http://{address}/waiting?seconds={WATCH_SECONDS:g}"
        try:
            # Where it points to is none of the operator's business.
            async with self._session.get(url, timeout=self._timeout, allow_redirects=False) as answer:
                waiting = int(json.loads(await answer.content.read(LONGEST_ANSWER))["waiting"])
                return min(max(waiting, 0), MOST_WAITING)
        except (aiohttp.ClientError, OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return 0


def _activators(key: Key, pods: list[Manifest]) -> list[Activator]:
    found: list[Activator] = []
    for pod in pods:
        labels, ip = pod["metadata"].get("labels") or {}, (pod.get("status") or {}).get("podIP")
        # The address of one that has ended may be another tenant's by now.
        if labels.get(names.LABEL_COMPONENT) != names.COMPONENT_ACTIVATOR or not ip or is_finished(pod):
            continue
        for container in pod["spec"].get("containers", ()):
            found.extend(
                (key, pod["metadata"]["name"], host_port(ip, port["containerPort"]))
                for port in container["ports"]
                if port.get("name") == CONTROL_PORT
            )
    return found
