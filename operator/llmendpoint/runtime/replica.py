"""One replica of the operator: it stands by, leads, and ends when it leads no more."""

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable

from llmendpoint.cluster.fence import Fence
from llmendpoint.election.candidate import Pace
from llmendpoint.metrics.exporter import Exporter
from llmendpoint.runtime.elector import LAST_WRITES_SECONDS, Elector
from llmendpoint.runtime.operator import Operator
from llmendpoint.settings import Settings

Watch = Callable[[Operator, Settings], Awaitable[None]]
"""Feeds an operator with watch events for ever."""


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

        When it ends, nothing is written any more, but loops still run: the process has to end at once.

        Raises:
            LeaseLost: another replica may lead from now on.
        """
        if self._settings.leader_election:
            await self._run_elected(stop)
        else:
            await self._run_alone(stop)

    async def _run_elected(self, stop: asyncio.Event) -> None:
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
        ) as elector:
            self._elector = elector
            await _first(elector.elected(), stop.wait())
            if not stop.is_set():
                await _first(elector.keep(), self._leading(elector.fence), stop.wait())
            await elector.resign()  # also where it was elected in the moment in which it was told to stop

    async def _run_alone(self, stop: asyncio.Event) -> None:
        fence = Fence.without_election()
        await _first(self._leading(fence), stop.wait())
        fence.shut()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WRITES_SECONDS):
                await fence.empty()

    def _leading(self, fence: Fence) -> "asyncio.Future[None]":
        # Shielded: nobody cuts off a write that is on its way.
        return asyncio.shield(asyncio.create_task(self._lead(fence)))

    async def _lead(self, fence: Fence) -> None:
        self.exporter.leader.set(1)
        async with Operator.running(
            self._settings, fence, instance=self._instance, exporter=self.exporter
        ) as self._operator:
            # kopf looks for its kinds once, when it starts: a CRD that is installed later would never be watched.
            await self._operator.synchronised()
            await self._watch(self._operator, self._settings)


async def _first(*waits: Awaitable[object]) -> None:
    """Wait for one of them, and give the others up."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()
