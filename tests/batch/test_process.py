"""A worker as the pod runs it: exit status, last word, port, SIGTERM."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.batches import WorkerProcess, options, worker_process, write_lines
from support.kube import eventually
from support.prometheus import Simulator, free_port, running_simulator
from support.servers import FAST

LINES = 400
ENGINE = ("vllm", "serve", "acme/llama", "--served-model-name", "tiny")


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    with running_simulator(tmp_path, *ENGINE, **FAST) as engine:
        yield engine


def port_of(simulator: Simulator) -> int:
    return int(simulator.address.rpartition(":")[2])


def last_word(worker: WorkerProcess) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(worker.last_word)
    return said


def test_a_worker_says_how_far_it_is_while_it_works_and_when_it_is_done(tmp_path: Path, simulator: Simulator) -> None:
    simulator.set_faults(hang=True)
    given = write_lines(tmp_path / "in.jsonl", LINES)
    with worker_process(tmp_path, options(given, tmp_path / "out", port_of(simulator))) as worker:
        said = eventually(lambda: (said := worker.progress()) and said["lines"] and said)
        assert said == {
            "lines": LINES, "completed": 0, "failed": 0, "promptTokens": 0, "completionTokens": 0, "linesResumed": 0,
            "linesPerSecond": 0.0,
        }  # fmt: skip
        metrics = httpx.get(f"{worker.url}/metrics").text
        assert 'llmendpoint_batch_lines_total{result="completed"} 0.0' in metrics
        assert f"llmendpoint_batch_shard_lines {LINES}.0" in metrics
        assert httpx.get(f"{worker.url}/readyz").is_success
        simulator.set_faults(hang=False)
        assert worker.end(60) == 0
        said = last_word(worker)
    assert (said["lines"], said["completed"], said["failed"], said["completionTokens"]) == (LINES, LINES, 0, LINES)
    assert said["linesPerSecond"] > 0


def test_what_can_not_be_done_ends_with_2_and_a_sentence(tmp_path: Path) -> None:
    told = options(tmp_path / "none.jsonl", tmp_path / "out", free_port())
    with worker_process(tmp_path, told) as worker:
        assert worker.end(60) == 2
        assert worker.last_word == f"{told.input}: there is no such file; look at the path and the claim or bucket"


def test_an_output_that_can_not_be_written_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    told = options(write_lines(tmp_path / "in.jsonl", 1), tmp_path / "out" / "deeper", free_port())
    with worker_process(tmp_path, told) as worker:
        assert worker.end(60) == 2
        assert "the folder can not be made" in worker.last_word


def test_a_terminated_worker_writes_what_it_has_and_is_to_be_tried_again(tmp_path: Path, simulator: Simulator) -> None:
    given = write_lines(tmp_path / "in.jsonl", 20_000)
    told = options(given, tmp_path / "out", port_of(simulator))
    with worker_process(tmp_path, told) as worker:
        eventually(lambda: (said := worker.progress()) and said["completed"] > 50)
        worker.process.send_signal(signal.SIGTERM)
        assert worker.end(30) == 1
        done = last_word(worker)["completed"]
    with worker_process(tmp_path, told) as worker:
        said = eventually(lambda: (said := worker.progress()) and said["lines"] and said)
    assert 50 < done == said["linesResumed"]
