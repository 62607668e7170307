"""The bare client that the product is compared with: aiohttp, JSON, no model of anything."""

import asyncio
import base64
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any

import aiohttp

from localcluster.errors import LocalClusterError

Manifest = dict[str, Any]

# As many as the operator has in flight (llmendpoint.cluster.client).
IN_FLIGHT = 16
LONGEST_LINE = 16 * 1024 * 1024


class Client:
    """A connection to the API server by a token."""

    def __init__(self, session: aiohttp.ClientSession, server: str) -> None:
        self._session = session
        self._server = server

    @classmethod
    @contextlib.asynccontextmanager
    async def connected(cls, kubeconfig: Mapping[str, Any]) -> AsyncIterator["Client"]:
        """Connect by a kubeconfig with one cluster and one token."""
        cluster, user = kubeconfig["clusters"][0]["cluster"], kubeconfig["users"][0]["user"]
        trusted = ssl.create_default_context(
            cadata=base64.b64decode(cluster["certificate-authority-data"]).decode("ascii")
        )
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trusted, limit=0),
            headers={"Authorization": f"Bearer {user['token']}"},
            read_bufsize=LONGEST_LINE,
        ) as session:
            yield cls(session, cluster["server"])

    async def send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, content_type: str = "application/json"
    ) -> Manifest:
        """One request.

        Raises:
            LocalClusterError: it was refused.
        """
        data = None if body is None else json.dumps(body)
        async with self._session.request(
            method, self._server + path, data=data, headers={"Content-Type": content_type}
        ) as answer:
            text = await answer.text()
            if answer.status >= 300:
                raise LocalClusterError(f"{method} {path}: {answer.status} {text[:500]}")
            parsed: Manifest = json.loads(text)
            return parsed

    async def apply(self, path: str, manifest: Mapping[str, Any], manager: str) -> None:
        """Server-side apply, by force."""
        query = f"?fieldManager={manager}&force=true"
        await self.send("PATCH", path + query, manifest, "application/apply-patch+yaml")

    @contextlib.asynccontextmanager
    async def watching(self, path: str) -> AsyncIterator[AsyncIterator[tuple[float, str, Manifest]]]:
        """Changes of a collection, what is there first: (monotonic time of arrival, type, object).

        The watch is open when the block begins.
        """
        unlimited = aiohttp.ClientTimeout(total=None)
        async with self._session.get(f"{self._server}{path}?watch=1", timeout=unlimited) as answer:
            if answer.status != 200:
                raise LocalClusterError(f"watch {path}: {answer.status} {(await answer.text())[:500]}")

            async def events() -> AsyncIterator[tuple[float, str, Manifest]]:
                async for line in answer.content:
                    event = json.loads(line)
                    yield time.monotonic(), event["type"], event["object"]

            yield events()


async def spread_out(jobs: Iterable[Callable[[], Awaitable[object]]]) -> None:
    """Do all, IN_FLIGHT at a time."""
    waiting = iter(list(jobs))

    async def work() -> None:
        for job in waiting:
            await job()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(IN_FLIGHT):
            tasks.create_task(work())
