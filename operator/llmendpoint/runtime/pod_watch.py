"""Asks pods who waits: the answer comes when somebody does, so that nobody waits for a tick to be seen."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, ClassVar, Generic, TypeVar

import aiohttp

from llmendpoint.api import names
from llmendpoint.manifests.common import CONTROL_PORT
from llmendpoint.metrics.source import host_port
from llmendpoint.reconcile.observation import Manifest, is_finished
from llmendpoint.runtime.store import Key, Store

SLACK_SECONDS = 5.0
Pod = tuple[Key, str, str]
"""(endpoint, pod, host:port)"""
Answer = TypeVar("Answer")


class PodWatch(ABC, Generic[Answer]):
    """One open request to each pod of a component, terminating ones included.

    Args:
        longest_seconds: time after which a pod answers although nobody waits.
        again_seconds: pause while somebody waits, and after an answer that came at once: a pod runs what its tenant
            wants.
    """

    component: ClassVar[str]
    path: ClassVar[str]
    longest_answer: ClassVar[int] = 1024
    """Bytes that are read."""

    def __init__(
        self, session: aiohttp.ClientSession, store: Store, *, longest_seconds: float, again_seconds: float
    ) -> None:
        self._session = session
        self._store = store
        self._longest = longest_seconds
        self._again = again_seconds
        self._timeout = aiohttp.ClientTimeout(total=longest_seconds + SLACK_SECONDS)
        self._watches: dict[Key, dict[Pod, asyncio.Task[None]]] = {}
        self._answers: dict[Pod, tuple[float, Answer]] = {}
        self._news: asyncio.Queue[Key] = asyncio.Queue()

    @abstractmethod
    def read(self, answer: Any) -> Answer:
        """What matters of an answer, within bounds.

        Raises:
            ValueError, LookupError, TypeError, OverflowError: it makes no sense.
        """

    @abstractmethod
    def waits(self, answer: Answer) -> bool:
        """Whether somebody waits."""

    def is_news(self, before: Answer | None, answer: Answer) -> bool:
        """Whether an answer is to be heard of at once. None: the pod has not answered before."""
        del before
        return self.waits(answer)

    def heard(self, key: Key) -> Iterator[tuple[float, Answer]]:
        """The last answer of each pod of an endpoint and when it came, by the event loop's clock."""
        return (self._answers[pod] for pod in self._watches.get(key, ()) if pod in self._answers)

    def follow(self, key: Key) -> None:
        """Watch the pods that an endpoint has now, and no others."""
        known = self._watches.get(key, {})
        wanted = set(self._pods(key))
        for gone in known.keys() - wanted:
            known.pop(gone).cancel()
            self._answers.pop(gone, None)
        for pod in wanted - known.keys():
            known[pod] = asyncio.create_task(self._watch(pod))
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

    async def _watch(self, pod: Pod) -> None:
        (key, _, address), clock = pod, asyncio.get_running_loop().time
        while True:
            asked_at = clock()
            # First to know it at all, for which nobody has to wait.
            seconds = self._longest if pod in self._answers else 0.0
            answer = await self._ask(address, seconds)
            is_awaited = answer is not None and self.waits(answer)
            is_news = answer is not None and self.is_news(self._answers.get(pod, (0.0, None))[1], answer)
            if answer is None:
                self._answers.pop(pod, None)
            else:
                self._answers[pod] = clock(), answer
            if is_news:
                self._news.put_nowait(key)
            came_too_soon = clock() - asked_at < self._again and (seconds or answer is None)
            if is_awaited or came_too_soon:
                await asyncio.sleep(self._again)

    async def _ask(self, address: str, seconds: float) -> Answer | None:
        """The answer, not before somebody waits or the time is over. None of a pod that can not be asked."""
        query = {"seconds": f"{seconds:g}"}
        url = f"http://{address}{self.path}"
        try:
            # Where it points to is none of the operator's business.
            async with self._session.get(url, params=query, timeout=self._timeout, allow_redirects=False) as answer:
                return self.read(json.loads(await _whole(answer.content, self.longest_answer)))
        except (aiohttp.ClientError, OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError):
            return None

    def _pods(self, key: Key) -> Iterator[Pod]:
        for pod in self._store.pods(key):
            ip = (pod.get("status") or {}).get("podIP")
            # The address of one that has ended may be another tenant's by now.
            if _component(pod) == self.component and ip and not is_finished(pod):
                for container in pod["spec"].get("containers", ()):
                    for port in container["ports"]:
                        if port.get("name") == CONTROL_PORT:
                            yield key, pod["metadata"]["name"], host_port(ip, port["containerPort"])


async def _whole(content: aiohttp.StreamReader, most: int) -> bytes:
    """An answer of several packets; what is longer is cut, and no JSON."""
    body = b""
    while len(body) < most and (part := await content.read(most - len(body))):
        body += part
    return body


def _component(pod: Manifest) -> str | None:
    found: str | None = (pod["metadata"].get("labels") or {}).get(names.LABEL_COMPONENT)
    return found
