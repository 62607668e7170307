"""One replica of the operator: it stands by, leads, and ends when it leads no more."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from llmendpoint.cluster.fence import Fence
from llmendpoint.election.candidate import Pace
from llmendpoint.metrics.exporter import Exporter
from llmendpoint.runtime.elector import Elector
from llmendpoint.runtime.operator import Operator
from llmendpoint.settings import Settings

Watch = Callable[[Operator, Settings, asyncio.Event], Awaitable[None]]
"""Feeds an operator with watch events until the event is set."""


class Replica:
    """What runs in one process, and what the probes ask. It leads once at most."""

    def __init__(self, settings: Settings, watch: Watch, *, instance: str) -> None:
        self.exporter = Exporter()
        self._settings = settings
        self._watch = watch
        self._instance = instance
        self._elector: Elector | None = None
        self._operator: Operator | None = None

    @property
    def is_ready(self) -> bool:
        """Whether a leader knows the state of the cluster, or a standby can take over."""
        working = self._operator or self._elector
        return working is not None and working.is_ready

    @property
    def is_alive(self) -> bool:
        """Whether work gets done, be it standing by."""
        working = self._operator or self._elector
        return working is None or working.is_alive

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop`` is set.

        Raises:
            LeaseLost: another replica may lead from now on. Loops may still run: the process has to end at once.
        """
        if not self._settings.leader_election:
            await self._lead(Fence.without_election(), stop)
            return
        pace = Pace(
            duration=self._settings.lease_duration_seconds,
            deadline=self._settings.lease_renew_deadline_seconds,
            retry=self._settings.lease_retry_seconds,
        )
        async with Elector.connected(
            namespace=self._settings.lease_namespace,
            name=self._settings.lease_name,
            identity=f"{self._instance}_{uuid.uuid4()}",
            pace=pace,
        ) as self._elector:
            await _first(self._elector.elected(), stop.wait())
            if stop.is_set():
                await self._elector.resign()  # it may have been elected in this moment
            else:
                await self._lead_while_elected(self._elector, stop)

    async def _lead_while_elected(self, elector: Elector, stop: asyncio.Event) -> None:
        # kopf cancels at its end whatever was begun after it: the renewals begin before.
        keeping = asyncio.create_task(elector.keep())
        released = asyncio.Event()
        leading = asyncio.create_task(self._lead(elector.fence, released))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({keeping, leading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if keeping.done():
            keeping.result()
        keeping.cancel()
        # A standby need not wait until all loops here have ended: they can not write any more.
        await elector.resign()
        released.set()
        await leading

    async def _lead(self, fence: Fence, stop: asyncio.Event) -> None:
        self.exporter.leader.set(1)
        async with Operator.running(
            self._settings, fence, instance=self._instance, exporter=self.exporter
        ) as self._operator:
            # kopf looks for its kinds once, when it starts: a CRD that is installed later would never be watched.
            await _first(self._operator.synchronised(), stop.wait())
            if not stop.is_set():
                await self._watch(self._operator, self._settings, stop)


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    """Wait for one of them, and give the others up."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()
