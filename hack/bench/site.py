"""An API server with its controllers, fake nodes whose pods can be scraped, and one operator in a process beside."""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

from bench import audit, fleet, isolation, processes
from bench.audit import Audit
from bench.client import Client, spread_out
from bench.contenders import Contender
from bench.options import Options, Skipped
from bench.preparation import NAMESPACE, prepare
from bench.processes import Process
from llmendpoint.cluster.kinds import ENDPOINT
from localcluster import cluster as local
from localcluster import runtime
from localcluster.accounts import audit_policy
from localcluster.cluster import Cluster
from localcluster.errors import LocalClusterError

POLL_SECONDS = 0.5


class Site:
    """Where the control plane is measured."""

    def __init__(self, options: Options, cluster: Cluster, client: Client, python: Path, folder: Path) -> None:
        self.options = options
        self._python = python
        self.client = client
        self._cluster = cluster
        self._folder = folder
        self._audit = Audit(cluster.control_plane.audit_log)
        self._running = contextlib.AsyncExitStack()
        self._contender: Contender | None = None
        self._process: Process | None = None
        self.populated: str | None = None
        """The namespace whose endpoints all serve; None before they were created."""

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(cls, options: Options) -> AsyncIterator["Site"]:
        """A cluster of its own, removed at the end.

        Raises:
            Skipped: this machine can not have one.
        """
        isolation.check()
        if os.environ.get(local.USER_CLUSTER):
            raise Skipped(f"pods on fake nodes are needed: unset {local.USER_CLUSTER}")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            policy = folder / "audit.json"
            policy.write_text(json.dumps(audit_policy(NAMESPACE)))
            cluster = await asyncio.to_thread(local.up, f"bench-{os.getpid()}", node=False, audit_policy=policy)
            try:
                python = await asyncio.to_thread(runtime.python)
                kubeconfigs = await asyncio.to_thread(prepare, cluster)
                for account, kubeconfig in kubeconfigs.items():
                    (folder / account).write_text(json.dumps(kubeconfig))
                async with (
                    processes.running([sys.executable, "-m", "bench.fleet"], folder / "fleet.log"),
                    Client.connected(kubeconfigs["client"]) as client,
                ):
                    site = cls(options, cluster, client, python, folder)
                    try:
                        yield site
                    finally:
                        await site.stop()
            finally:
                await asyncio.to_thread(cluster.down)

    async def start(self, contender: Contender) -> float:
        """Start an operator, with its settings as shipped, in the place of any other. Seconds until it was ready."""
        await self.stop()
        started = time.monotonic()
        self._contender = contender
        process = self._process = await self._running.enter_async_context(
            processes.running(
                [str(self._python), *contender.arguments],
                self._folder / f"{contender.name}.log",
                KUBECONFIG=str(self._folder / contender.name),
                **contender.environment,
            )
        )
        async with asyncio.timeout(self.options.longest):
            while not await contender.is_ready():
                process.check()
                await asyncio.sleep(0.05)
        return time.monotonic() - started

    async def hand_over(self, contender: Contender) -> None:
        """Let an operator run and have the endpoints that are there, if it does not already; done when it is quiet."""
        if contender is not self._contender:
            await self.start(contender)
        await self.until_quiet(15.0)

    async def stop(self) -> None:
        """Stop what runs."""
        await self._running.aclose()
        self._contender = self._process = None

    @property
    def process(self) -> Process:
        """The operator that runs."""
        if self._process is None:
            raise LocalClusterError("no operator runs")
        return self._process

    @property
    def pods(self) -> int:
        """Engine pods of all endpoints together."""
        return sum(self.options.replicas_of(index) for index in range(self.options.endpoints))

    async def make_namespace(self, name: str) -> None:
        """An empty namespace."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await self.client.send("POST", "/api/v1/namespaces", body)

    async def remove_namespace(self, name: str) -> None:
        """Delete a namespace and wait until all that was in it is gone. No operator must run."""
        path = ENDPOINT.path(name)
        held = [
            body["metadata"]["name"]
            for body in (await self.client.send("GET", path))["items"]
            if body["metadata"].get("finalizers")
        ]
        free = {"metadata": {"finalizers": None}}
        await spread_out(
            [partial(self.client.send, "PATCH", f"{path}/{one}", free, "application/merge-patch+json") for one in held]
        )
        limit = f"--timeout={self.options.longest:.0f}s"
        await asyncio.to_thread(self._cluster.kubectl, "delete", "namespace", name, "--wait=true", limit)

    def requests(self, contender: Contender) -> Counter[str]:
        """What an operator has asked of the API server so far, by "verb resource"."""
        return self._audit.requests(contender.name)

    async def until_quiet(self, seconds: float, counted: Callable[[Counter[str]], int] = audit.writes) -> float | None:
        """Wait until the operator has asked nothing of what counts for some seconds.

        Returns when it asked last, in monotonic seconds; None if it never stopped.
        """
        assert self._contender is not None
        end = time.monotonic() + self.options.longest
        last, since = counted(self.requests(self._contender)), time.monotonic()
        while time.monotonic() - since < seconds:
            if time.monotonic() > end:
                return None
            await asyncio.sleep(POLL_SECONDS)
            now = counted(self.requests(self._contender))
            if now != last:
                last, since = now, time.monotonic()
        return since


async def scrapes() -> int:
    """How many scrapes the engines have answered."""

    def read() -> int:
        with urllib.request.urlopen(f"http://{isolation.POD_PREFIX}.0.2:{fleet.PORT}/scrapes", timeout=10) as answer:
            return int(answer.read())

    return await asyncio.to_thread(read)
