"""The same heartbeat where the engines are read from a real Prometheus server, which scrapes them all meanwhile."""

import asyncio
import json
import re
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from bench import processes
from bench.figures import Figure
from bench.fleet import PORT
from bench.options import Skipped
from bench.run import Run
from bench.tick import REPLICAS, address, fleet, ticks
from llmendpoint.__main__ import spare_the_collector
from llmendpoint.engines import engine_for
from localcluster import packages

TICK_BAR = 1.0
# The operator takes nothing that is older than 30 s.
SCRAPE_SECONDS = 20
SERVER = "127.0.0.1:18490"


async def measure(run: Run) -> list[Figure]:
    """Wall time and processor time of this process; the server's own work is not in the latter."""
    count = run.options.endpoints
    spare_the_collector()
    async with fleet(), _server(count) as url:
        await _scraped(url, count * REPLICAS, run.options.longest)
        figures = await ticks(count, {"source": "Prometheus", "prometheus": {"url": url}})
    return [replace(figure, bar=TICK_BAR) if figure.name == "tick" else figure for figure in figures]


@asynccontextmanager
async def _server(count: int) -> AsyncIterator[str]:
    program = packages.prometheus()
    targets: list[dict[str, Any]] = [
        {
            "targets": [f"{address(index, replica)}:{PORT}"],
            "labels": {"namespace": "team", "pod": f"llama-{index}-engine-{replica}", "container": "engine"},
        }
        for index in range(count)
        for replica in range(REPLICAS)
    ]
    # As an installation of this size would: only what is asked for is kept.
    kept = "|".join(map(re.escape, sorted(engine_for("vLLM").metrics.wanted)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "targets.json").write_text(json.dumps(targets))
        job = {
            "job_name": "engines",
            "file_sd_configs": [{"files": [str(folder / "targets.json")]}],
            "metric_relabel_configs": [{"source_labels": ["__name__"], "regex": kept, "action": "keep"}],
        }
        times = {"scrape_interval": f"{SCRAPE_SECONDS}s", "scrape_timeout": "10s"}
        (folder / "prometheus.yml").write_text(yaml.safe_dump({"global": times, "scrape_configs": [job]}))
        command = [
            program, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={SERVER}", "--log.level=warn",
        ]  # fmt: skip
        async with processes.running(command, folder / "prometheus.log"):
            yield f"http://{SERVER}"


async def _scraped(url: str, pods: int, longest: float) -> None:
    """Wait until the server has read every pod.

    Raises:
        Skipped: it has not in the time that a phase may take.
    """
    end, found = time.monotonic() + longest, 0
    async with aiohttp.ClientSession() as session:
        while found < pods:
            if time.monotonic() > end:
                raise Skipped(f"Prometheus had read {found} of {pods} pods after {longest:.0f} s")
            await asyncio.sleep(1.0)
            try:
                async with session.get(f"{url}/api/v1/query", params={"query": "sum(up)"}) as answer:
                    result = (await answer.json())["data"]["result"] if answer.status == 200 else []
            except aiohttp.ClientError:
                continue  # it starts
            found = int(float(result[0]["value"][1])) if result else 0
