"""Models that can be fetched, and fetches as processes of their own, which can be killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from localcluster.paths import ROOT
from support import hub_server
from support.prometheus import free_port, running_process

MIB = 1 << 20


def write_model(folder: Path, *, shards: int = 2, size: int = 3 * MIB) -> dict[str, bytes]:
    """The files of a model that an engine would load, by name."""
    files = {"config.json": b'{"model_type": "llama"}', "tokenizer/vocab.json": b"{}"}
    files |= {f"model-{number:05d}.safetensors": os.urandom(size) for number in range(shards)}
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return files


def files_of(folder: Path) -> dict[str, bytes]:
    """What a fetch has left, but for its list."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".complete"
    }


def download(source: str, folder: str, revision: str | None = None) -> dict[str, str | None]:
    return {"source": source, "revision": revision, "folder": folder}


@dataclass(frozen=True)
class RunningHub:
    """A hub as a process of its own."""

    url: str
    folder: Path

    @property
    def requests(self) -> list[str]:
        """Lines of METHOD PATH AUTHORIZATION."""
        log = self.folder / "requests.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line for line in lines if "/healthz" not in line]

    def fetched(self) -> list[str]:
        """Files that were asked for in whole."""
        return [line.split()[1].partition("/resolve/")[2].partition("/")[2] for line in self.requests
                if line.startswith("GET") and "/resolve/" in line]  # fmt: skip


@contextmanager
def running_hub(folder: Path, *arguments: str, port: int | None = None) -> Iterator[RunningHub]:
    folder.mkdir(exist_ok=True)
    port = port or free_port()
    command = [sys.executable, hub_server.__file__, str(folder), f"--port={port}", *arguments]
    url = f"http://127.0.0.1:{port}"
    with running_process(command, folder.with_suffix(".log"), lambda: httpx.get(f"{url}/healthz").is_success):
        yield RunningHub(url, folder)


@dataclass(frozen=True)
class FetchProcess:
    """A fetch that can be killed."""

    process: subprocess.Popen[bytes]
    log: Path
    termination_log: Path
    url: str

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self, timeout: float = 60.0) -> int:
        """Its exit status."""
        return self.process.wait(timeout)

    @property
    def last_word(self) -> str:
        return self.termination_log.read_text()

    def progress(self) -> dict[str, Any] | None:
        """What its port says; None where it does not answer."""
        try:
            said: dict[str, Any] = httpx.get(f"{self.url}/progress", timeout=10.0).json()
        except httpx.TransportError:
            return None
        return said


@contextmanager
def fetch_process(
    folder: Path,
    *downloads: Mapping[str, Any],
    keep: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[FetchProcess]:
    """A fetch to ``folder``/models, until the block ends; it may have ended before."""
    port, log, last = free_port(), folder / "fetch.log", folder / "termination"
    last.write_text("")
    command = [
        sys.executable, "-m", "modelfetch", "run", f"--root={folder / 'models'}", "--host=127.0.0.1",
        *(f"--download={json.dumps(one)}" for one in downloads), *(f"--keep={name}" for name in keep),
        f"--control-port={port}", f"--termination-log={last}",
    ]  # fmt: skip
    variables = {"PYTHONPATH": str(ROOT / "operator"), "HF_HOME": str(folder / "hub-home"), **(environment or {})}
    with log.open("ab") as out:
        process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=out, stderr=out)
    try:
        yield FetchProcess(process, log, last, f"http://127.0.0.1:{port}")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def fetch(folder: Path, *downloads: Mapping[str, Any], **how: Any) -> tuple[int, str]:
    """Fetch to the end; exit status and last word."""
    with fetch_process(folder, *downloads, **how) as process:
        status = process.end()
        return status, process.last_word
