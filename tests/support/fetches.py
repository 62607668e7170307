"""Models that can be fetched, and fetches as processes of their own, which can be killed."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from support import hub_server
from support.job_processes import JobProcess
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


def fetch_process(
    folder: Path,
    *downloads: Mapping[str, Any],
    keep: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> AbstractContextManager[JobProcess]:
    """A fetch to ``folder``/models, until the block ends; it may have ended before."""
    return JobProcess.running(
        folder / "fetch.log", folder / "termination", {"HF_HOME": str(folder / "hub-home"), **(environment or {})},
        "modelfetch", f"--root={folder / 'models'}", *(f"--download={json.dumps(one)}" for one in downloads),
        *(f"--keep={name}" for name in keep),
    )  # fmt: skip


def fetch(folder: Path, *downloads: Mapping[str, Any], **how: Any) -> tuple[int, str]:
    """Fetch to the end; exit status and last word."""
    with fetch_process(folder, *downloads, **how) as process:
        status = process.end()
        return status, process.last_word
