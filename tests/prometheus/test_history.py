"""What an endpoint really was asked, read back from a real Prometheus server, and replayed."""

import asyncio
import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from llmendpoint.cli.main import app
from llmendpoint.engines import engine_for
from llmendpoint.metrics.history import ANSWER_SECONDS, asked
from llmendpoint.metrics.prometheus_server import PrometheusServer
from support.builders import endpoint_file
from support.prometheus import Prometheus, free_port, running_simulator

REQUESTS, TOKENS = 6, 5


@pytest.fixture(scope="module")
def server(prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory) -> Prometheus:
    """One that saw six requests on one pod, which two jobs scrape."""
    with running_simulator(tmp_path_factory.mktemp("engine"), "vllm", "serve", "m") as engine:
        for job in ("engines", "again"):
            prometheus.scrape({("past", "llama-engine-1"): engine.address}, job=job)
        wait_for(prometheus, 'vllm:num_requests_running{namespace="past"}', 0)
        for _ in range(REQUESTS):
            engine.complete(TOKENS)
        wait_for(prometheus, 'sum by (job) (vllm:request_success_total{namespace="past"})', REQUESTS)
    return prometheus


def wait_for(prometheus: Prometheus, query: str, value: float) -> None:
    """Until both jobs show it."""
    end = time.monotonic() + 30
    while (found := prometheus.values(query)) != [value, value]:
        assert time.monotonic() < end, found
        time.sleep(0.2)


async def test_what_was_asked_is_counted_once_with_its_mean_lengths(server: Prometheus) -> None:
    history, until = PrometheusServer(server.url, ANSWER_SECONDS), float(math.ceil(time.time()))
    steps = await asked(history, engine_for("vLLM").metrics, "past", "llama", until=until, steps=60, seconds=1.0)
    history.close()
    assert sum(step.requests for step in steps) == REQUESTS
    assert {step.generation_tokens for step in steps} == {TOKENS}
    assert all(step.prompt_tokens > 1 for step in steps)


def simulate(directory: Path, trace: str, namespace: str = "past", **spec: Any) -> Result:
    path = endpoint_file(directory, namespace, scaling={"maxReplicas": 2, **spec})
    return CliRunner().invoke(
        app,
        ["simulate", "-f", str(path), "--trace", trace, "--engine-profile", "a10g-llama-8b", "--cold-start", "60",
         "-o", "json"],
    )  # fmt: skip


async def test_it_is_replayed_by_the_names_of_the_file_and_by_others(server: Prometheus, tmp_path: Path) -> None:
    own = {"metrics": {"source": "Prometheus", "prometheus": {"url": server.url}}}
    for trace, namespace, spec in (
        (f"prometheus:{server.url}?hours=0.05&step=5", "past", {}),
        (f"prometheus:{server.url}?namespace=past&name=llama&hours=0.05&step=5", "other", {}),
        ("prometheus:?hours=0.05&step=5", "past", own),
    ):
        result = await asyncio.to_thread(simulate, tmp_path, trace, namespace, **spec)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["requests"] == REQUESTS


@pytest.mark.parametrize(
    ("trace", "sentence"),
    [
        ("prometheus:", "give the server's address, as in prometheus:http://prometheus:9090"),
        ("prometheus:{url}?hour=3", "there is no 'hour': it knows namespace, name, hours, step"),
        ("prometheus:{url}?hours=many", "hours must be a number above 0, not 'many'"),
        ("prometheus:{url}?hours=240&step=1", "864000 steps of 1 s"),
        ("prometheus:{url}?name=nobody", "has no request of past/nobody in the last 24 hours"),
        ("prometheus:{nobody}", "Connection refused): check the server and --trace"),
    ],
)
def test_what_can_not_be_read_is_said(prometheus: Prometheus, tmp_path: Path, trace: str, sentence: str) -> None:
    filled = trace.format(url=prometheus.url, nobody=f"http://127.0.0.1:{free_port()}")
    result = simulate(tmp_path, filled)
    assert result.exit_code == 1
    assert sentence in result.stderr
