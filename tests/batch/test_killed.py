"""Workers that are killed again and again: no line is lost, none is there twice, and little is done again."""

import re
import resource
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from batchworker.log import SOONEST
from support.batches import S3, WorkerProcess, ids, options, read_lines, worker_process, write_lines
from support.prometheus import Simulator, running_simulator
from support.servers import FAST

SHARDS = 4
CONCURRENCY = 32
ENGINE = ("vllm", "serve", "acme/llama", "--served-model-name", "tiny")


def test_every_line_is_answered_once_however_often_workers_are_killed(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    lines = int(request.config.getoption("--batch-lines"))
    given, output = write_lines(tmp_path / "in.jsonl", lines), tmp_path / "out"
    killed_again_and_again(tmp_path, f"file://{given}", f"file://{output}", output, lines, kills_of_a_shard=5)


def test_the_same_with_a_bucket(tmp_path: Path, s3: S3) -> None:
    bucket, lines = s3.bucket("killed"), 8000
    write_lines(bucket / "in.jsonl", lines)
    uris = ("s3://killed/in.jsonl", "s3://killed/out")
    killed_again_and_again(tmp_path, *uris, bucket / "out", lines, kills_of_a_shard=2, environment=s3.environment)


def killed_again_and_again(
    folder: Path,
    given: str,
    output: str,
    written: Path,
    lines: int,
    *,
    kills_of_a_shard: int,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Do a batch whose workers are killed whenever a part of their shard is done.

    Args:
        written: where the output lies on this machine.
    """
    part = lines / SHARDS / (kills_of_a_shard + 1)
    before, began, most_memory, fastest = processor_seconds(), time.monotonic(), 0, 0.0
    with ExitStack() as stack:
        engines = [stack.enter_context(running_simulator(folder, *ENGINE, **FAST)) for _ in range(2)]

        def start(shard: int) -> WorkerProcess:
            port = int(engines[shard % 2].address.rpartition(":")[2])
            told = options(given, output, port, shards=SHARDS, shard=shard, concurrency=CONCURRENCY)
            return stack.enter_context(worker_process(folder, told, environment))

        workers = {shard: start(shard) for shard in range(SHARDS)}
        killed = dict.fromkeys(workers, 0)
        while workers:
            for shard, worker in list(workers.items()):
                if worker.process.poll() is not None:
                    assert worker.process.returncode == 0, worker.log.read_text()[-3000:]
                    del workers[shard]
                elif (said := worker.progress()) is not None:
                    most_memory = max(most_memory, worker.resident_bytes)
                    fastest = max(fastest, said["linesPerSecond"])
                    if killed[shard] < kills_of_a_shard and said["completed"] > part * (killed[shard] + 1):
                        worker.kill()
                        killed[shard] += 1
                        workers[shard] = start(shard)
            time.sleep(0.1)
        seconds = time.monotonic() - began
        # The engines have not ended yet.
        of_workers = processor_seconds() - before
        again = sum(answers_of(engine) for engine in engines) - lines
    kills = sum(killed.values())
    print(
        f"{lines} lines, {SHARDS} shards, {kills} kills: {seconds:.1f} s, "
        f"workers' processor time {of_workers:.1f} s, {again} lines answered again "
        f"({again / lines:.2%}, {again / kills:.0f} a kill), a worker's memory {most_memory / 2**20:.0f} MiB at most"
    )
    assert kills == SHARDS * kills_of_a_shard
    assert ids(read_lines(written / "output.jsonl")) == {f"line-{number}": 1 for number in range(lines)}
    assert (written / "errors.jsonl").read_bytes() == b""
    names = {path.name for path in written.rglob("*") if path.is_file()}
    assert names == {"output.jsonl", "errors.jsonl", "done.json"}
    # What was with the engine, and what had not been written yet.
    assert again <= kills * (CONCURRENCY + 3 * SOONEST * fastest)


def processor_seconds() -> float:
    """What processes that were started here and have ended have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def answers_of(engine: Simulator) -> int:
    """Answers that an engine has given, by its own count."""
    text = httpx.get(f"http://{engine.address}/metrics").text
    return int(sum(map(float, re.findall(r"^vllm:request_success_total\{.*\} (\S+)$", text, re.MULTILINE))))
