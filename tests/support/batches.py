"""Batch files, workers that do them in this process or as processes of their own, and a server with the S3 API."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from batchworker.options import Options
from batchworker.worker import Worker
from localcluster import tools
from support.job_processes import JobProcess
from support.prometheus import free_port, running_process

REGION, KEY, SECRET = "eu-west-1", "batch", "batch-secret"


def asked(number: int, **body: Any) -> dict[str, Any]:
    """One line of a batch file."""
    default = {"model": "tiny", "messages": [{"role": "user", "content": f"question {number}"}], "max_tokens": 1}
    return {"custom_id": f"line-{number}", "method": "POST", "url": "/v1/chat/completions", "body": default | body}


def write_lines(path: Path, lines: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(asked(number))}\n" for number in range(lines)))
    return path


def written(folder: Path, *lines: str | dict[str, Any]) -> Path:
    """A batch file of these lines."""
    path = folder / "input.jsonl"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def options(given: Path | str, output: Path | str, engine_port: int, **changes: Any) -> Options:
    """Of a worker that does the only shard."""
    usual: dict[str, Any] = {
        "shards": 1, "shard": 0, "engine_url": f"http://127.0.0.1:{engine_port}", "health_path": "/health",
        "concurrency": 8, "timeout": 10.0, "max_attempts": 3, "control_port": 0, "host": "127.0.0.1",
    }  # fmt: skip
    return Options(_uri(given), _uri(output), **usual | changes)


def _uri(place: Path | str) -> str:
    return place if isinstance(place, str) else f"file://{place}"


async def work(told: Options, stop: asyncio.Event | None = None) -> dict[str, Any]:
    """Work to the end; what the worker says of it last."""
    worker = Worker(told, stop or asyncio.Event())
    done = await worker.run()
    return {"done": done, **worker.report}


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def ids(lines: list[dict[str, Any]]) -> Counter[str]:
    """How often each custom_id is there."""
    return Counter(line["custom_id"] for line in lines)


@dataclass(frozen=True)
class WorkerProcess(JobProcess):
    """A worker that can be killed."""

    @property
    def resident_bytes(self) -> int:
        """The most memory that it has had so far; 0 where it has ended."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return 0


def worker_process(
    folder: Path, told: Options, environment: Mapping[str, str] | None = None
) -> AbstractContextManager[WorkerProcess]:
    """A worker, until the block ends; it may have ended before."""
    return WorkerProcess.running(
        folder / f"worker-{told.shard}.log", folder / f"termination-{told.shard}",
        {"JOB_COMPLETION_INDEX": str(told.shard), **(environment or {})},
        "batchworker", f"--input={told.input}", f"--output={told.output}", f"--shards={told.shards}",
        f"--engine-url={told.engine_url}", f"--concurrency={told.concurrency}", f"--max-attempts={told.max_attempts}",
    )  # fmt: skip


@dataclass(frozen=True)
class S3:
    """A server with the S3 API; a bucket is a folder of it."""

    url: str
    folder: Path

    def bucket(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir()
        return path

    @property
    def environment(self) -> dict[str, str]:
        """How a client reaches it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }


@contextmanager
def running_s3(folder: Path, port: int | None = None) -> Iterator[S3]:
    """A versitygw that listens on loopback until the block ends. Another one may go on with the folder."""
    tools.ensure(tools.S3)
    buckets, sidecar, port = folder / "buckets", folder / "sidecar", port or free_port()
    for path in (buckets, sidecar):
        path.mkdir(exist_ok=True)
    command = [
        tools.program("versitygw"), f"--port=127.0.0.1:{port}", f"--access={KEY}", f"--secret={SECRET}",
        f"--region={REGION}", "--quiet", "--health=/health", "posix", f"--sidecar={sidecar}", str(buckets),
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    with running_process(command, folder / "log", lambda: httpx.get(f"{url}/health").is_success):
        yield S3(url, buckets)
