"""One run: objects go to a real API server in batches, and what becomes of each is counted."""

import asyncio
import itertools
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from fuzz.objects import Source, broken
from llmendpoint.api.conditions import Reason
from support.api import Answer, Api

BATCH = 100
IN_FLIGHT = 16
SETTLED_SECONDS = 120.0
# A hundred accepted objects may ask for 1000 pods each: the quota keeps the cluster small.
MOST_PODS = "150"
EDITED, STATUS_BROKEN = 3, 5
"""Every so many accepted objects, one is edited afterwards, or has its status overwritten."""


@dataclass
class Tally:
    """What became of them."""

    sent: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    """By status and reason of Ready."""
    edits: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    """What must not happen, each with the object."""
    slowest: float = 0.0
    """Seconds from the first object of a batch to the last one's condition."""

    def __str__(self) -> str:
        ended = ", ".join(f"{reason} {count}" for reason, count in self.ended.most_common())
        refused = ", ".join(f"{code}: {count}" for code, count in sorted(self.refused.items()))
        edits = ", ".join(f"{what} {count}" for what, count in sorted(self.edits.items()))
        return (
            f"{self.sent} objects: {self.refused.total()} refused ({refused}), "
            f"{self.ended.total()} accepted ({ended}); edits: {edits}; slowest batch {self.slowest:.0f} s"
        )


class Run:
    """Sends generated objects and waits for what the operator says of them."""

    def __init__(self, api: Api, source: Source, seed: int) -> None:
        self.tally = Tally()
        self._api = api
        self._source = source
        self._chance = Random(seed)
        self._batches = itertools.count()

    async def batch(self, count: int) -> str:
        """Some objects, to their ends. Returns the namespace in which the accepted ones are."""
        bodies = await asyncio.to_thread(self._source.take, count)
        namespace = f"fuzz-{next(self._batches)}"
        await self._make(namespace)
        began = time.monotonic()
        await self._each(bodies, lambda index, body: self._create(namespace, index, body))
        await self._settle(namespace)
        spare = iter(bodies)
        await self._each(
            await self._endpoints(namespace), lambda index, body: self._disturb(index, body, next(spare)["spec"])
        )
        for endpoint in await self._settle(namespace):
            ready = _ready(endpoint)
            if ready:
                self.tally.ended[f"{ready['status']}/{ready['reason']}"] += 1
        self.tally.slowest = max(self.tally.slowest, time.monotonic() - began)
        return namespace

    async def clear(self, namespace: str) -> None:
        """Delete what a batch has left."""
        await self._expect("DELETE", _collection(namespace))
        await self._expect("DELETE", f"/api/v1/namespaces/{namespace}")

    async def settled(self, namespace: str) -> None:
        """Wait until each endpoint has its condition again."""
        await self._settle(namespace)

    async def _make(self, namespace: str) -> None:
        await self._expect("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        quota = {"metadata": {"name": "pods"}, "spec": {"hard": {"pods": MOST_PODS}}}
        await self._expect("POST", f"/api/v1/namespaces/{namespace}/resourcequotas", quota)

    async def _each(self, bodies: list[dict[str, Any]], act: Any) -> None:
        limit = asyncio.Semaphore(IN_FLIGHT)

        async def limited(index: int, body: dict[str, Any]) -> None:
            async with limit:
                await act(index, body)

        await asyncio.gather(*(limited(index, body) for index, body in enumerate(bodies)))

    async def _create(self, namespace: str, index: int, body: dict[str, Any]) -> None:
        body = {**body, "metadata": {"name": f"f{index}", **body["metadata"]}}
        self.tally.sent += 1
        answer = await self._api.send("POST", _collection(namespace), body)
        if answer.code >= 300:
            self.tally.refused[answer.code] += 1
            self._judge(answer, body)

    async def _disturb(self, index: int, endpoint: dict[str, Any], spec: Any) -> None:
        """Give some of those that are there another spec, and some a status that is not the operator's."""
        metadata = endpoint["metadata"]
        path = f"{_collection(metadata['namespace'])}/{metadata['name']}"
        if index % EDITED == 0:
            await self._edit("spec", path, [{"op": "replace", "path": "/spec", "value": spec}])
        if index % STATUS_BROKEN == 0:
            status = broken(endpoint["status"], self._chance)
            await self._edit("status", f"{path}/status", [{"op": "replace", "path": "/status", "value": status}])

    async def _edit(self, what: str, path: str, patch: list[dict[str, Any]]) -> None:
        answer = await self._api.send("PATCH", path, patch, kind="json-patch+json")
        self.tally.edits[f"{what} {'taken' if answer.code < 300 else 'refused'}"] += 1
        if answer.code >= 300:
            self._judge(answer, patch)

    def _judge(self, answer: Answer, body: Any) -> None:
        if answer.code >= 500 or not answer.sentence:
            self.tally.faults.append(f"{answer.code} {answer.sentence[:500]!r} for {body!r:.3000}")

    async def _settle(self, namespace: str) -> list[dict[str, Any]]:
        end = time.monotonic() + SETTLED_SECONDS
        while True:
            endpoints = await self._endpoints(namespace)
            open_ones = [endpoint for endpoint in endpoints if not _ready(endpoint)]
            if not open_ones:
                return endpoints
            if time.monotonic() > end:
                self.tally.faults += [f"no Ready after {SETTLED_SECONDS:g} s: {body!r:.3000}" for body in open_ones]
                return endpoints
            await asyncio.sleep(0.5)

    async def _endpoints(self, namespace: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self._expect("GET", _collection(namespace))).body["items"]
        return found

    async def _expect(self, method: str, path: str, body: Any = None) -> Answer:
        answer = await self._api.send(method, path, body)
        assert answer.code < 300, f"{method} {path}: {answer}"
        return answer


def _collection(namespace: str) -> str:
    return f"/apis/llmendpoint.dev/v1alpha1/namespaces/{namespace}/llmendpoints"


def _ready(endpoint: dict[str, Any]) -> dict[str, Any] | None:
    """The condition, where the operator has spoken about the spec as it is."""
    for condition in (endpoint.get("status") or {}).get("conditions") or []:
        if condition["type"] == "Ready" and condition["reason"] in set(Reason) and condition["message"]:
            is_current = condition.get("observedGeneration") == endpoint["metadata"]["generation"]
            return condition if is_current else None
    return None
