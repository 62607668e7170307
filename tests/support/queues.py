"""The processes of an asynchronous endpoint on this machine, and the jobs that callers give it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from localcluster.paths import ROOT
from support.prometheus import free_port

NAME = "team/llama"
RESULT_TTL = 600


@dataclass
class QueueProcess:
    """The API or a worker."""

    control: str
    """URL of its control port."""
    pid: int
    log: Path

    @property
    def is_there(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    @property
    def is_well(self) -> bool:
        assert self.is_there, self.log.read_text()[-3000:]
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.control}/readyz").is_success
        return False

    @property
    def name(self) -> str | None:
        """By which Redis knows a worker; None while it starts."""
        found = re.search(r"INFO (\S+) works for ", self.log.read_text())
        return found and found[1]

    def metric(self, series: str) -> float:
        """The value of a series, 0 where there is none."""
        lines = httpx.get(f"{self.control}/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{series} "))

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal that ends it, and wait until it did."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
        wait_until(lambda: not self.is_there, 60, f"{self.log.stem} ends")


class Queue:
    """An endpoint's asynchronous side.

    Args:
        directory: for logs.
        nursery: starts its processes.
    """

    def __init__(self, directory: Path, redis_url: str, engine_url: str, nursery: "subprocess.Popen[str]") -> None:
        self._nursery = nursery
        self._directory = directory
        self._redis_url = redis_url
        self._engine_url = engine_url
        self._number = 0
        self._port = free_port()
        self.apis: list[QueueProcess] = []
        self.workers: list[QueueProcess] = []

    @property
    def url(self) -> str:
        """Where callers send their jobs."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def api(self) -> QueueProcess:
        return self.apis[-1]

    def serve(self) -> None:
        self.apis.append(self._start("serve", f"--port={self._port}", "--max-queued=100000"))

    def work(self, *arguments: str) -> QueueProcess:
        """A worker; of arguments that come twice, the last one counts."""
        options = ["--concurrency=16", "--timeout=60", "--max-attempts=3", "--lease=1", *arguments]
        self.workers.append(self._start("work", f"--engine-url={self._engine_url}", *options))
        return self.workers[-1]

    def kill_workers(self) -> None:
        while self.workers:
            self.workers.pop().kill()

    def _start(self, command: str, *arguments: str) -> QueueProcess:
        port = free_port()
        self._number += 1
        log = self._directory / f"{command}-{self._number}.log"
        common = [f"--name={NAME}", f"--control-port={port}", f"--result-ttl={RESULT_TTL}", "--host=127.0.0.1"]
        order = {"arguments": [command, *common, *arguments], "redis_url": self._redis_url, "log": str(log)}
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        print(json.dumps(order), file=self._nursery.stdin, flush=True)
        pid = int(self._nursery.stdout.readline())
        return QueueProcess(f"http://127.0.0.1:{port}", pid, log)


@contextlib.contextmanager
def queue(directory: Path, redis_url: str, engine_url: str) -> Iterator[Queue]:
    """An endpoint's asynchronous side, of which nothing has been started yet."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "operator"), str(ROOT / "tests")])}
    with subprocess.Popen(
        [sys.executable, "-m", "support.nursery"],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as nursery:  # fmt: skip
        some = Queue(directory, redis_url, engine_url, nursery)
        try:
            yield some
        finally:
            some.kill_workers()
            for api in some.apis:
                api.kill()


def submit(url: str, *, tokens: int = 8, **headers: str) -> str:
    """The id of a new job."""
    body = {"model": "tiny", "prompt": "word " * 20, "max_tokens": tokens}
    answer = httpx.post(f"{url}/v1/completions", content=json.dumps(body), headers=headers, timeout=30)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def job(url: str, job_id: str) -> dict[str, Any]:
    """What the API says of a job."""
    found: dict[str, Any] = httpx.get(f"{url}/v1/jobs/{job_id}", timeout=30).raise_for_status().json()
    return found


def wait_until(true: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)
