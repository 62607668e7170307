"""An edit of an endpoint until its Deployment is patched: one at a time, and a hundred at once.

The edit changes how the Deployment rolls out and not its pods, so that the controllers' own work stays out of it.
"""

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from bench.creation import populated
from bench.figures import Figure, percentile, spread
from bench.run import Run
from bench.site import Site
from llmendpoint.cluster.kinds import DEPLOYMENT, ENDPOINT

EDITS = 100
ROUNDS = 3
P50_BAR, P99_BAR, BURST_BAR = 20.0, 60.0, 2.0
PAUSE_SECONDS = 0.1
LONGEST_SECONDS = 60.0
STRATEGY = {"Surge": "RollingUpdate", "Recreate": "Recreate"}


async def measure(run: Run) -> list[Figure]:
    """From the moment that the edit is sent until a watch has seen the Deployment."""
    site = await run.site()
    namespace = await populated(site)
    await site.until_quiet(15.0)
    editor, together = Editor(site, namespace), min(EDITS, run.options.endpoints)
    async with editor.watching():
        await editor.edit(0)  # connections are open
        single, answered = [], []
        for number in range(EDITS):
            done = await editor.edit(number % run.options.endpoints)
            single.append(done.patched * 1e3)
            answered.append(done.answered * 1e3)
            await asyncio.sleep(PAUSE_SECONDS)
        bursts = []
        for _ in range(ROUNDS):
            await site.until_quiet(5.0)
            bursts.append(await editor.edit_at_once(together))
    size = {"endpoints": run.options.endpoints, "edits": EDITS}
    return [
        Figure(
            "one edit, p50",
            percentile(single, 0.5),
            "ms",
            P50_BAR,
            size | spread(single),
            f"of which {percentile(answered, 0.5):.1f} ms until the API server had answered the edit itself",
        ),
        Figure("one edit, p99", percentile(single, 0.99), "ms", P99_BAR, size | {"all": single}),
        Figure(f"{together} edits at once", statistics.median(bursts), "s", BURST_BAR, size | {"all": bursts}),
    ]


@dataclass(frozen=True)
class Edit:
    """One edit. Times are seconds from when it was sent."""

    answered: float
    """Until the API server had stored it."""
    patched: float
    """Until the Deployment was seen to follow."""


class Editor:
    """Edits endpoints and sees when their Deployments follow."""

    def __init__(self, site: Site, namespace: str) -> None:
        self._site = site
        self._namespace = namespace
        self._strategy: dict[str, str] = {}
        self._waits: dict[str, tuple[str, asyncio.Future[float]]] = {}
        self._rollout: dict[int, str] = {}

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Follow the Deployments while the block runs."""
        async with self._site.client.watching(DEPLOYMENT.path(self._namespace)) as events:
            task = asyncio.create_task(self._follow(events))
            await asyncio.sleep(1.0)
            try:
                yield
            finally:
                task.cancel()

    async def edit(self, index: int) -> Edit:
        """Change one endpoint and wait for its Deployment."""
        rollout = self._rollout[index] = "Surge" if self._rollout.get(index) == "Recreate" else "Recreate"
        name = f"llama-{index}"
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waits[f"{name}-engine"] = (STRATEGY[rollout], future)
        started = time.monotonic()
        patch = {"spec": {"engine": {"rollout": rollout}}}
        await self._site.client.send(
            "PATCH", ENDPOINT.path(self._namespace, name), patch, "application/merge-patch+json"
        )
        answered = time.monotonic() - started
        async with asyncio.timeout(LONGEST_SECONDS):
            return Edit(answered, await future - started)

    async def edit_at_once(self, count: int) -> float:
        """Change many; seconds until the last Deployment followed."""
        started = time.monotonic()
        await asyncio.gather(*(self.edit(index) for index in range(count)))
        return time.monotonic() - started

    async def _follow(self, events: AsyncIterator[tuple[float, str, dict[str, Any]]]) -> None:
        async for at, _, body in events:
            name = body["metadata"]["name"]
            waited = self._waits.get(name)
            if waited and body["spec"]["strategy"]["type"] == waited[0] and not waited[1].done():
                waited[1].set_result(at)
