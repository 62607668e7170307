"""The operators that are measured side by side, each a process of its own."""

import asyncio
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from bench.figures import Figure
from bench.options import Skipped
from localcluster.errors import LocalClusterError


@dataclass(frozen=True)
class Contender:
    """One operator: how it is started and asked."""

    name: str
    """Also its service account."""
    arguments: tuple[str, ...]
    """Of Python."""
    port: int
    ready: str
    """What answers when it has begun to work."""
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)

    async def is_ready(self) -> bool:
        """Whether it has begun to work."""
        try:
            return bool(await self.read(self.ready))
        except OSError:
            return False

    async def read(self, path: str) -> str:
        """What it answers."""
        return await asyncio.to_thread(self._read, path)

    def _read(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            text: str = answer.read().decode()
            return text


PRODUCT = Contender("operator", ("-m", "llmendpoint"), 18480, "/readyz", {"LLMENDPOINT_HTTP_PORT": "18480"})
KOPF = Contender("kopf", ("-m", "bench.kopf_operator", "18481"), 18481, "/healthz")
CONTENDERS = (PRODUCT, KOPF)


async def of_each(measure: Callable[[Contender], Awaitable[list[Figure]]]) -> list[Figure]:
    """The figures of each, one after the other.

    Raises:
        Skipped: one could not be measured; the figures of those before it come with it.
    """
    figures: list[Figure] = []
    for contender in CONTENDERS:
        try:
            figures += await measure(contender)
        except (Skipped, LocalClusterError) as reason:
            raise Skipped(f"{contender.name}: {reason}", figures) from reason
    return figures
