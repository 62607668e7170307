"""An edit of an endpoint until its Deployment is patched: one at a time, and a hundred at once.

The edit changes how the Deployment rolls out and not its pods, so that the controllers' own work stays out of it.
"""

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.contenders import PRODUCT, Contender, of_each
from bench.creation import populated
from bench.figures import Figure, percentile, spread
from bench.options import Skipped
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
    """From the moment that the edit is sent until a watch has seen the Deployment; of the same endpoints by each."""
    site = await run.site()
    namespace = await populated(site)
    return await of_each(partial(_measure, site, namespace))


async def _measure(site: Site, namespace: str, contender: Contender) -> list[Figure]:
    await site.hand_over(contender)
    editor, together = Editor(site, namespace), min(EDITS, site.options.endpoints)
    async with editor.watching():
        await editor.edit(0)  # connections are open
        single, answered = [], []
        for number in range(EDITS):
            done = await editor.edit(number % site.options.endpoints)
            single.append(done.patched * 1e3)
            answered.append(done.answered * 1e3)
            await asyncio.sleep(PAUSE_SECONDS)
        bursts = []
        for _ in range(ROUNDS):
            await site.until_quiet(5.0)
            bursts.append(await editor.edit_at_once(together))
    size = {"endpoints": site.options.endpoints, "edits": EDITS}
    name, bars = contender.name, (P50_BAR, P99_BAR, BURST_BAR) if contender is PRODUCT else (None, None, None)
    note = f"of which {percentile(answered, 0.5):.1f} ms until the API server had answered the edit itself"
    return [
        Figure(f"{name}: one edit, p50", percentile(single, 0.5), "ms", bars[0], size | spread(single), note),
        Figure(f"{name}: one edit, p99", percentile(single, 0.99), "ms", bars[1], size | {"all": single}),
        Figure(f"{name}: {together} edits at once", statistics.median(bursts), "s", bars[2], size | spread(bursts)),
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
        """What each Deployment was seen to have last."""
        self._all_seen = asyncio.Event()
        self._waits: dict[str, tuple[str, asyncio.Future[float]]] = {}

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Follow the Deployments while the block runs."""
        async with self._site.client.watching(DEPLOYMENT.path(self._namespace)) as events:
            task = asyncio.create_task(self._follow(events))
            try:
                await self._all_seen.wait()
                yield
            finally:
                task.cancel()

    async def edit(self, index: int) -> Edit:
        """Change one endpoint and wait for its Deployment.

        Raises:
            Skipped: it did not follow.
        """
        name = f"llama-{index}"
        rollout = "Surge" if self._strategy[f"{name}-engine"] == STRATEGY["Recreate"] else "Recreate"
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waits[f"{name}-engine"] = (STRATEGY[rollout], future)
        started = time.monotonic()
        patch = {"spec": {"engine": {"rollout": rollout}}}
        await self._site.client.send(
            "PATCH", ENDPOINT.path(self._namespace, name), patch, "application/merge-patch+json"
        )
        answered = time.monotonic() - started
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                return Edit(answered, await future - started)
        except TimeoutError as error:
            raise Skipped(f"the Deployment of {name} did not follow an edit within {LONGEST_SECONDS:.0f} s") from error

    async def edit_at_once(self, count: int) -> float:
        """Change many; seconds until the last Deployment followed."""
        started = time.monotonic()
        await asyncio.gather(*(self.edit(index) for index in range(count)))
        return time.monotonic() - started

    async def _follow(self, events: AsyncIterator[tuple[float, str, dict[str, Any]]]) -> None:
        async for at, _, body in events:
            name = body["metadata"]["name"]
            strategy = self._strategy[name] = body["spec"]["strategy"]["type"]
            if len(self._strategy) == self._site.options.endpoints:
                self._all_seen.set()
            waited = self._waits.get(name)
            if waited and strategy == waited[0] and not waited[1].done():
                waited[1].set_result(at)
