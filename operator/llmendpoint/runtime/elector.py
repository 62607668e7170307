"""The election's edge: reads and writes the Lease, and keeps the fence open while it is held."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

import structlog

from llmendpoint.cluster.client import Cluster
from llmendpoint.cluster.errors import ClusterError, Conflict
from llmendpoint.cluster.fence import Fence, uptime
from llmendpoint.cluster.kinds import LEASE
from llmendpoint.election.candidate import Candidate, Pace
from llmendpoint.election.lease import Claim, Lease

log = structlog.get_logger(__name__)

# What is on its way when the operator is told to stop is a matter of milliseconds; else the lease is left to run out.
LAST_WRITES_SECONDS = 1.0
# A standby whose looks have not even failed for so many leases hangs.
HANGS_AFTER = 3


class LeaseLost(Exception):
    """Another replica may lead from now on."""


class Elector:
    """Takes part in the election for one process.

    Attributes:
        fence: for the connection of everything that only the leader may write.
    """

    def __init__(self, cluster: Cluster, *, namespace: str, name: str, identity: str, pace: Pace) -> None:
        self.fence = Fence()
        self._cluster = cluster
        self._namespace = namespace
        self._name = name
        self._candidate = Candidate(identity, pace)
        self._tried_at = uptime()
        self._has_looked = False
        self._holder: str | None = None
        self._trouble: str | None = None

    @classmethod
    @asynccontextmanager
    async def connected(cls, *, namespace: str, name: str, identity: str, pace: Pace) -> AsyncIterator["Elector"]:
        """An elector with a connection of its own: renewals wait behind no other request, and pass no fence."""
        async with Cluster.connect(Fence.without_election()) as cluster:
            yield cls(cluster, namespace=namespace, name=name, identity=identity, pace=pace)

    @property
    def is_ready(self) -> bool:
        """Whether this process can take over: it was able to read the lease."""
        return self._has_looked

    @property
    def is_alive(self) -> bool:
        """Whether it goes on trying. An API server that is away is no reason to restart."""
        return uptime() - self._tried_at < HANGS_AFTER * self._candidate.pace.duration

    async def elected(self) -> None:
        """Stand by until this process leads."""
        while not self._candidate.leads(uptime()):
            await self._try()
            if not self._candidate.leads(uptime()):
                await asyncio.sleep(self._pause())
        self.fence.open_until(self._candidate.until or 0.0)
        log.info("leading", lease=f"{self._namespace}/{self._name}", identity=self._candidate.identity)

    async def keep(self) -> NoReturn:
        """Renew the lease for ever.

        Raises:
            LeaseLost: it could not be renewed in time, or is in other hands. No request that hangs delays this.
        """
        renewing = asyncio.create_task(self._renew())
        try:
            while self._candidate.leads(now := uptime()):
                await asyncio.wait({renewing}, timeout=(self._candidate.until or now) - now)
                if renewing.done():
                    renewing.result()  # a bug's traceback, if there is one
        finally:
            self.fence.shut()
            renewing.cancel()
        if self._candidate.is_deposed and self._candidate.lease:
            raise LeaseLost(f"it is held by {self._candidate.lease.holder or 'nobody'} now")
        raise LeaseLost(f"it was not renewed for {self._candidate.pace.deadline:g} s: {self._trouble or 'no answer'}")

    async def resign(self) -> None:
        """Let nothing be written any more, and give the lease back so that a standby takes over at once.

        What can not be done in time is left: the lease runs out by itself.
        """
        self.fence.shut()
        try:
            async with asyncio.timeout(LAST_WRITES_SECONDS):
                await self.fence.empty()
                await self._release()
        except (ClusterError, TimeoutError) as error:
            log.warning("lease not released: it runs out by itself", error=str(error) or "no answer in time")

    async def _release(self) -> None:
        while True:
            if not self._candidate.is_sure:
                await self._look()
            claim = self._candidate.release()
            if claim is None:
                return
            try:
                await self._store(claim)
            except Conflict:  # a renewal that was given up has arrived
                self._candidate = self._candidate.unsure()
            else:
                log.info("lease released", lease=f"{self._namespace}/{self._name}")
                return

    async def _renew(self) -> None:
        while self._candidate.leads(uptime()):
            self.fence.open_until(self._candidate.until or 0.0)
            await asyncio.sleep(self._pause())
            await self._try()

    async def _try(self) -> None:
        """One look, one claim, or both. What goes wrong is logged when it begins: the next try comes soon."""
        trouble = None
        try:
            async with asyncio.timeout(self._candidate.pace.renew):
                if not (self._candidate.is_sure and self._candidate.leads(uptime())):
                    await self._look()
                if claim := self._candidate.claim(uptime()):
                    await self._claim(claim)
        except Conflict:
            pass  # somebody was faster
        except (ClusterError, TimeoutError) as error:
            trouble = str(error) or f"no answer within {self._candidate.pace.renew:g} s"
            if not self._trouble:
                log.warning("no lease", lease=f"{self._namespace}/{self._name}", error=trouble)
        self._trouble = trouble
        self._tried_at = uptime()

    async def _look(self) -> None:
        body = await self._cluster.get(LEASE, self._namespace, self._name)
        self._candidate = self._candidate.saw(Lease.from_object(body) if body else None, uptime())
        self._has_looked = True
        holder = self._candidate.lease.holder if self._candidate.lease else ""
        if holder not in {self._holder, "", self._candidate.identity}:
            log.info("standing by", lease=f"{self._namespace}/{self._name}", leader=holder)
        self._holder = holder

    async def _claim(self, claim: Claim) -> None:
        asked = uptime()
        self._candidate = self._candidate.unsure()  # until there is an answer
        stored = await self._store(claim)
        self._candidate = self._candidate.won(stored, asked, uptime())

    async def _store(self, claim: Claim) -> Lease:
        manifest = claim.to_object(self._namespace, self._name, time.time())
        send = self._cluster.replace if claim.replaces else self._cluster.create
        return Lease.from_object(await send(manifest))

    def _pause(self) -> float:
        # Standbys that began together must not stay together.
        return self._candidate.pause(uptime()) * random.uniform(0.8, 1.0)  # noqa: S311 - guards nothing
