"""The parser and the simulator against texts that a real vLLM answered."""

from pathlib import Path

import pytest

from llmendpoint.engines import engine_for
from llmendpoint.metrics.extract import sample_of
from llmendpoint.metrics.parser import parse
from llmendpoint.scaling.signals import EngineSample
from support.engine_metrics import bounds, families, simulated_vllm

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "engine-metrics"
pytestmark = pytest.mark.skipif(not RECORDED.exists(), reason="the recorded engine texts (../shared) are not here")


def read(name: str) -> EngineSample | str:
    names = engine_for("vLLM").metrics
    text = (RECORDED / name).read_text()
    return sample_of(parse(text, names.wanted), names, taken_at=0.0, own_metrics=names.prefix in text, objective=2.0)


def test_a_loaded_engine_is_read() -> None:
    sample = read("vllm-0.32.0-loaded.txt")
    assert isinstance(sample, EngineSample)
    assert (sample.running, sample.waiting) == (8.0, 16.0)
    assert sample.ttft_buckets[-1][1] == 8
    assert sample.finished_generation_tokens_total == 0, "a token of a running stream is not one of a finished request"
    assert (sample.generation_tokens_total, sample.steps_total) == (1409.0, 177.0)
    assert (sample.queued_total, sample.late_total) == (0.0, 0.0)


def test_what_was_finished_is_counted_with_its_waits() -> None:
    sample = read("vllm-0.32.0-after.txt")
    assert isinstance(sample, EngineSample)
    assert (sample.requests_total, sample.queued_total, sample.late_total) == (24.0, 24.0, 16.0)
    assert (sample.finished_prompt_tokens_total, sample.finished_generation_tokens_total) == (1230.0, 7200.0)


def test_an_idle_engine_is_zero_and_not_unknown() -> None:
    sample = read("vllm-0.32.0-idle.txt")
    assert isinstance(sample, EngineSample)
    assert sample.in_flight == 0


def test_a_text_without_engine_metrics_is_unknown() -> None:
    names = engine_for("vLLM").metrics
    why = sample_of(parse("python_info 1\n", names.wanted), names, taken_at=0.0, own_metrics=False, objective=2.0)
    assert isinstance(why, str)
    assert "statistics disabled" in why


def test_the_simulator_shows_the_families_of_the_real_engine() -> None:
    simulated = simulated_vllm()
    real = (RECORDED / "vllm-0.32.0-loaded.txt").read_text()
    assert families(simulated) == families(real)
    for bound in ("time_to_first_token_seconds", "e2e_request_latency_seconds", "iteration_tokens_total"):
        assert bounds(simulated, bound) == bounds(real, bound)
