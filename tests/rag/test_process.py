"""``rag`` as a process: it starts, is told to stop while it answers, and while it still imports."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from support.collector import running_collector
from support.prometheus import free_port
from support.rag_services import CORPUS, until_ready
from support.scripted_llm import ScriptedLlm

Server = tuple[ScriptedLlm, str]
MOST_MEBIBYTES = 500
STEPS = ("self_query", "expansion", "retrieval", "rerank", "generation")
PATIENCE = 180
"""Seconds for a start on a machine that has other things to do; two seconds of processor time are needed."""


def environment(url: str, store: Path, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "LLM_BASE_URL": url,
        "LLM_MODEL": "tiny",
        "RAG_EMBEDDING_MODEL": "carried",
        "RAG_RERANKER": "late-interaction",
        "RAG_STORE_PATH": str(store),
        "RAG_HOST": "127.0.0.1",
        "COLUMNS": "120",
        **more,
    }


def started(*arguments: str, env: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "rag", *arguments], env=env, stderr=subprocess.DEVNULL)


def done(*arguments: str, env: dict[str, str]) -> tuple[int, str]:
    """Run to the end: the exit status, and all that was said."""
    command = [sys.executable, "-m", "rag", *arguments]
    process = subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return process.returncode, process.stdout + process.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three documents: a start is not to take long."""
    folder = tmp_path / "docs"
    for name in ("posts/ada-cold-starts.md", "posts/ada-spot.md", "articles/bruno-hnsw.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text((CORPUS / name).read_text())
    return folder


@pytest.fixture
def port() -> int:
    return free_port()


async def takes_connections(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return False
    writer.close()
    return True


async def test_sigterm_lets_an_answer_and_its_trace_end(llm: Server, folder: Path, tmp_path: Path, port: int) -> None:
    server, url = llm
    env = environment(url, tmp_path / "store", PORT=str(port), RAG_CORPUS_DIR=str(folder))
    began = time.monotonic()
    with running_collector() as collector:
        env["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.url
        with started("serve", env=env) as process:
            await _stop_while_it_answers(process, server, port, began)
    request = next(span for span in collector.spans if span.name == "POST /rag")
    steps = {span.name: span for span in collector.below(request) if span.name.startswith("rag.")}
    assert steps.keys() == {f"rag.{step}" for step in STEPS}
    assert [span.name for span in collector.below(steps["rag.generation"])] == ["POST"], "the request to the LLM"
    assert collector.services == {"llm-twin-rag"}


async def _stop_while_it_answers(
    process: subprocess.Popen[bytes], server: ScriptedLlm, port: int, began: float
) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await until_ready(client)
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
        print(f"ready after {time.monotonic() - began:.1f} s")
        server.hold = True
        asking = asyncio.create_task(client.post("/rag", json={"query": "cold starts"}))
        async with asyncio.timeout(30):
            while not server.requests:
                await asyncio.sleep(0.02)
        resident = int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[0]) // 1024
        print(f"{resident} MiB")
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            while await takes_connections(port):
                await asyncio.sleep(0.05)
        assert process.poll() is None
        server.hold = False
        answer = await asking
    assert answer.status_code == 200
    assert "[1]" in answer.json()["answer"]
    assert await asyncio.to_thread(process.wait, 20) == 0
    assert resident < MOST_MEBIBYTES


@pytest.mark.parametrize("seconds", [0.15, 0.4, 1.0])
def test_a_signal_while_it_starts_is_not_lost(tmp_path: Path, port: int, seconds: float) -> None:
    env = environment("http://127.0.0.1:1", tmp_path / "store", PORT=str(port))
    with started("serve", env=env) as process:
        time.sleep(seconds)
        process.terminate()
        status = process.wait(PATIENCE)
    assert status in (0, -signal.SIGTERM)  # the latter before Python itself has started


async def test_a_question_at_the_terminal_gets_a_page(llm: Server, folder: Path, tmp_path: Path) -> None:
    env = environment(llm[1], tmp_path / "store")
    code, output = await asyncio.to_thread(done, "ingest", str(folder), env=env)
    assert (code, output) == (0, "3 added, 0 changed, 0 removed, 0 unchanged; 5 passages embedded\n")
    code, output = await asyncio.to_thread(done, "ask", "What did Bruno Oyelaran write about graphs?", env=env)
    assert code == 0
    for part in ("It is in HNSW without tears by Bruno Oyelaran [1].", "Sources", "self-query", "total"):
        assert part in output


def test_a_folder_that_is_not_there_is_said_at_the_terminal(tmp_path: Path) -> None:
    code, output = done("ingest", str(tmp_path / "none"), env=environment("http://127.0.0.1:1", tmp_path / "store"))
    assert code == 1
    assert "is not a folder" in output


def test_a_wrong_setting_is_named_by_its_variable(tmp_path: Path) -> None:
    env = environment("http://127.0.0.1:1", tmp_path / "store", RAG_K="2")
    code, output = done("serve", env=env)
    assert (code, output) == (1, "rag: RAG_K: Input should be greater than or equal to 3\n")
