"""An API server with its controllers, fake nodes whose pods can be scraped, and the operator in a process beside."""

import asyncio
import contextlib
import json
import os
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

from bench import isolation, processes
from bench.client import Client
from bench.options import Options, Skipped
from bench.preparation import COUNTED, prepare
from bench.processes import Process
from llmendpoint.metrics.parser import parse
from localcluster import cluster as local
from localcluster.cluster import Cluster
from localcluster.errors import LocalClusterError

HTTP_PORT = 18480
OPERATOR_CONFIG = "operator.json"
DISPATCHED = "apiserver_flowcontrol_dispatched_requests_total"


class Site:
    """Where the control plane is measured."""

    def __init__(self, options: Options, cluster: Cluster, client: Client, folder: Path) -> None:
        self.options = options
        self.client = client
        self._cluster = cluster
        self._folder = folder
        self._running = contextlib.AsyncExitStack()
        self._operator: Process | None = None
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
        cluster = await asyncio.to_thread(local.up, f"bench-{os.getpid()}", node=False)
        try:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                kubeconfigs = await asyncio.to_thread(prepare, cluster)
                (folder / OPERATOR_CONFIG).write_text(json.dumps(kubeconfigs["operator"]))
                async with (
                    processes.running(["-m", "bench.fleet"], folder / "fleet.log"),
                    Client.connected(kubeconfigs["client"]) as client,
                ):
                    site = cls(options, cluster, client, folder)
                    try:
                        yield site
                    finally:
                        await site.stop_operator()
        finally:
            await asyncio.to_thread(cluster.down)

    async def start_operator(self) -> float:
        """Start the operator, with its settings as shipped. Returns the seconds until it was ready."""
        started = time.monotonic()
        operator = self._operator = await self._running.enter_async_context(
            processes.running(
                ["-m", "llmendpoint"],
                self._folder / "operator.log",
                KUBECONFIG=str(self._folder / OPERATOR_CONFIG),
                LLMENDPOINT_HTTP_PORT=str(HTTP_PORT),
            )
        )
        while not await asyncio.to_thread(_answers, "/readyz"):
            operator.check()
            await asyncio.sleep(0.05)
        return time.monotonic() - started

    async def stop_operator(self) -> None:
        """Stop it, if it runs."""
        await self._running.aclose()
        self._operator = None

    @property
    def operator(self) -> Process:
        """The operator, which runs."""
        if self._operator is None:
            raise LocalClusterError("the operator does not run")
        return self._operator

    @property
    def pods(self) -> int:
        """Engine pods of all endpoints together."""
        return sum(self.options.replicas_of(index) for index in range(self.options.endpoints))

    async def make_namespace(self, name: str) -> None:
        """An empty namespace."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await self.client.send("POST", "/api/v1/namespaces", body)

    async def remove_namespace(self, name: str) -> None:
        """Delete a namespace and wait until all that was in it is gone."""
        await asyncio.to_thread(self._cluster.kubectl, "delete", "namespace", name, "--wait=true")

    async def requests(self) -> dict[str, float]:
        """Requests that the API server has taken from the operator so far, by the names of COUNTED."""
        found = parse(await self.client.metrics(), {DISPATCHED}).get(DISPATCHED, [])
        by_schema = {sample.labels["flow_schema"]: sample.value for sample in found}
        return {name: by_schema.get(f"bench-{name}", 0.0) for name in COUNTED}

    async def until_quiet(self, seconds: float, longest: float = 600.0) -> bool:
        """Wait until the operator has written nothing for some seconds. False if it never stopped."""
        end = time.monotonic() + longest
        last, since = await self.requests(), time.monotonic()
        while time.monotonic() - since < seconds:
            if time.monotonic() > end:
                return False
            await asyncio.sleep(1.0)
            now = await self.requests()
            if now["writes"] != last["writes"]:
                last, since = now, time.monotonic()
        return True


async def operator_writes() -> dict[str, float]:
    """The operator's own account of its writes, by "verb kind"."""
    found = parse(await asyncio.to_thread(_read, "/metrics"), {"llmendpoint_writes_total"})
    return {
        f"{sample.labels['verb']} {sample.labels['kind']}": sample.value
        for sample in found.get("llmendpoint_writes_total", [])
    }


def _read(path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{HTTP_PORT}{path}", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def _answers(path: str) -> bool:
    try:
        return bool(_read(path))
    except OSError:
        return False
