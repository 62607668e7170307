"""A real Prometheus server on loopback, and engine simulators for it to scrape, as a PodMonitor would have it."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from localcluster import packages
from localcluster.paths import ROOT
from support.kube import LONG_ENOUGH

SCRAPE_SECONDS = 1
GIVEN: set[int] = set()
"""Ports that are somebody's, whether or not he listens already."""


@dataclass(frozen=True)
class Simulator:
    """An engine simulator as a process of this machine."""

    address: str
    """host:port"""

    def set_faults(self, **faults: Any) -> None:
        httpx.post(f"http://{self.address}/enginesim/faults", json=faults).raise_for_status()

    def complete(self, tokens: int) -> None:
        """One request from its start to its end."""
        body = {"prompt": "word " * 40, "max_tokens": tokens}
        httpx.post(f"http://{self.address}/v1/completions", json=body, timeout=30).raise_for_status()

    @contextmanager
    def busy(self, requests: int) -> Iterator[None]:
        """Requests in flight that do not end by themselves."""
        body = {"prompt": "word " * 40, "max_tokens": 4000, "stream": True}
        with httpx.Client(timeout=None) as client:
            streams = [
                client.send(
                    client.build_request("POST", f"http://{self.address}/v1/completions", json=body), stream=True
                )
                for _ in range(requests)
            ]
            try:
                yield
            finally:
                for stream in streams:
                    stream.close()


@dataclass(frozen=True)
class Prometheus:
    """A server that scrapes what it is told to."""

    url: str
    targets: Path

    def scrape(self, pods: Mapping[tuple[str, str], str], *, job: str = "engines") -> None:
        """Scrape these too from now on: (namespace, pod) -> address."""
        file = self.targets / f"{job}.json"
        groups = json.loads(file.read_text()) if file.exists() else []
        groups += [
            {"targets": [address], "labels": {"namespace": namespace, "pod": pod, "container": "engine"}}
            for (namespace, pod), address in pods.items()
        ]
        aside = file.with_suffix(".new")
        aside.write_text(json.dumps(groups))
        aside.rename(file)

    def values(self, query: str) -> list[float]:
        """The values of the series that an instant query gives."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": query}).raise_for_status().json()
        return [float(series["value"][1]) for series in answer["data"]["result"]]

    @property
    def queries_answered(self) -> int:
        """How many instant queries it has answered, by its own count."""
        text = httpx.get(f"{self.url}/metrics").text
        lines = (line for line in text.splitlines() if line.startswith("prometheus_http_requests_total{"))
        return int(sum(float(line.rpartition(" ")[2]) for line in lines if 'handler="/api/v1/query"' in line))


@contextmanager
def running_prometheus(directory: Path) -> Iterator[Prometheus]:
    """A server with jobs ``engines``, ``again`` and ``operator``, whose targets the test sets.

    What the operator says of an endpoint's namespace counts, as in the chart's PodMonitor.
    """
    port = free_port()
    targets = directory / "targets"
    targets.mkdir()
    jobs = [
        {
            "job_name": job,
            "honor_labels": job == "operator",
            "file_sd_configs": [{"files": [str(targets / f"{job}.json")], "refresh_interval": "1s"}],
        }
        for job in ("engines", "again", "operator")
    ]
    times = {"scrape_interval": f"{SCRAPE_SECONDS}s", "scrape_timeout": f"{SCRAPE_SECONDS}s"}
    config = directory / "prometheus.yml"
    config.write_text(yaml.safe_dump({"global": times, "scrape_configs": jobs}))
    command = [
        packages.prometheus(), f"--config.file={config}", f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    with running_process(command, directory / "prometheus.log", lambda: httpx.get(f"{url}/-/ready").is_success):
        yield Prometheus(url, targets)


@contextmanager
def running_simulator(directory: Path, *arguments: str, **environment: str) -> Iterator[Simulator]:
    """A simulator; ``arguments`` begin with those of the real engine's command, ``vllm serve`` or ``tgi``."""
    port = free_port()
    command = [sys.executable, "-m", "enginesim", *arguments, f"--port={port}"]
    settings = {"ENGINESIM_STARTUP_SECONDS": "0", "PYTHONPATH": str(ROOT / "operator"), **environment}
    address = f"127.0.0.1:{port}"
    with running_process(
        command,
        directory / f"enginesim-{port}.log",
        lambda: httpx.get(f"http://{address}/health").is_success,
        settings,
    ):
        yield Simulator(address)


def free_port() -> int:
    """A port that nobody listens on, and that nobody else was given."""
    while True:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = int(taken.getsockname()[1])
        if port not in GIVEN:
            GIVEN.add(port)
            return port


@contextmanager
def running_process(
    command: Sequence[str], log: Path, answers: Callable[[], bool], environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server, from when it answers until the block ends."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, env={**os.environ, **(environment or {})}, stdout=out, stderr=out)
    try:
        end = time.monotonic() + LONG_ENOUGH
        while True:
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < end, f"{command[0]} does not answer: {log.read_text()[-2000:]}"
            try:
                if answers():
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait(10)
