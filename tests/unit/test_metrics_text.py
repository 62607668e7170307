"""An engine's /metrics text: what is read of it, and what is not worth failing for."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from llmendpoint.engines import engine_for
from llmendpoint.metrics.extract import sample_of
from llmendpoint.metrics.parser import Sample, parse
from llmendpoint.scaling.signals import EngineSample

LABEL_VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['a="b"', "}", "{", "\\", "\\n", "\n", '"', ",", "x y", "\u2028", "\r"]
)
VALUES = st.floats(allow_nan=False) | st.sampled_from([math.inf, -math.inf, 0.0, 1e300])


@given(st.dictionaries(st.tuples(LABEL_VALUES, LABEL_VALUES), VALUES, max_size=5))
def test_what_prometheus_client_writes_is_read(series: dict[tuple[str, str], float]) -> None:
    registry = CollectorRegistry()
    gauge = Gauge("engine_running", "Requests {running} now.\nOn two lines.", ["model", "engine"], registry=registry)
    Gauge("engine_running_other", "A name that begins alike.", registry=registry).set(7)
    for labels, value in series.items():
        gauge.labels(*labels).set(value)
    found = parse(generate_latest(registry).decode(), {"engine_running"})
    read = {
        (sample.labels["model"], sample.labels["engine"]): sample.value for sample in found.get("engine_running", [])
    }
    assert read == series


@given(st.lists(st.floats(0, 100), max_size=20))
def test_a_histogram_of_prometheus_client_is_read(observations: list[float]) -> None:
    registry = CollectorRegistry()
    histogram = Histogram("ttft_seconds", "Time to first token.", buckets=(0.1, 1.0, 10.0), registry=registry)
    for value in observations:
        histogram.observe(value)
    found = parse(generate_latest(registry).decode(), {"ttft_seconds_bucket", "ttft_seconds_count"})
    counts = {float(sample.labels["le"]): sample.value for sample in found["ttft_seconds_bucket"]}
    assert counts == {bound: sum(value <= bound for value in observations) for bound in (0.1, 1.0, 10.0, math.inf)}
    assert found["ttft_seconds_count"] == [Sample({}, len(observations))]


def test_a_counter_is_read_by_its_sample_name() -> None:
    registry = CollectorRegistry()
    Counter("tokens", "Tokens made.", registry=registry).inc(3)
    assert parse(generate_latest(registry).decode(), {"tokens_total"}) == {"tokens_total": [Sample({}, 3.0)]}


@pytest.mark.parametrize(
    ("line", "samples"),
    [
        ("x 1", [Sample({}, 1.0)]),
        ("x 1 1700000000000", [Sample({}, 1.0)]),
        ("x  1.5e3", [Sample({}, 1500.0)]),
        ("x +Inf\r", [Sample({}, math.inf)]),
        ('x{a="1",} 2', [Sample({"a": "1"}, 2.0)]),
        ('x{a="}",b="{"} 2', [Sample({"a": "}", "b": "{"}, 2.0)]),
        ('x{a="say \\"hi\\"\\\\\\n"} 2', [Sample({"a": 'say "hi"\\\n'}, 2.0)]),
        ("x{} 2", [Sample({}, 2.0)]),
        ("# TYPE x gauge", []),
        ("xy 1", []),
        ("x", []),
        ("x ", []),
        ("x one", []),
        ('x{a="1"', []),
        ("", []),
    ],
)
def test_a_line_is_read_or_left_out(line: str, samples: list[Sample]) -> None:
    text = f"# HELP x Help.\n{line}\nx 9\n"
    assert parse(text, {"x"}) == {"x": [*samples, Sample({}, 9.0)]}


def test_a_family_without_a_readable_line_is_absent() -> None:
    assert parse("x one\nx\n", {"x"}) == {}


def vllm(text: str) -> EngineSample:
    names = engine_for("vLLM").metrics
    found = sample_of(parse(text, names.wanted), names, taken_at=5.0, own_metrics=True, objective=2.0)
    assert isinstance(found, EngineSample)
    return found


def test_series_of_several_ranks_are_added_up_and_shares_are_averaged() -> None:
    found = vllm(
        'vllm:num_requests_running{engine="0"} 3\nvllm:num_requests_running{engine="1"} 4\n'
        'vllm:kv_cache_usage_perc{engine="0"} 0.2\nvllm:kv_cache_usage_perc{engine="1"} 0.6\n'
        'vllm:request_success_total{finished_reason="stop"} 7\nvllm:request_success_total{finished_reason="length"} 2\n'
    )
    assert (found.running, found.requests_total, found.taken_at) == (7.0, 9.0, 5.0)
    assert found.kv_usage == pytest.approx(0.4)


def test_a_gauge_is_found_by_the_name_of_an_older_version() -> None:
    assert vllm("vllm:gpu_cache_usage_perc 0.3\n").kv_usage == 0.3
    assert vllm("vllm:kv_cache_usage_perc 0.4\nvllm:gpu_cache_usage_perc 0.3\n").kv_usage == 0.4


def test_a_bucket_without_a_readable_bound_or_count_is_left_out() -> None:
    name = "vllm:time_to_first_token_seconds_bucket"
    lines = ['{le="0.1"} 1', '{le="soon"} 2', '{le="NaN"} 2', " 3", '{le="1"} NaN', '{le="+Inf"} 4']
    text = "".join(f"{name}{line}\n" for line in lines)
    assert vllm(text).ttft_buckets == ((0.1, 1.0), (math.inf, 4.0))


def test_buckets_of_several_ranks_are_added_up_in_order() -> None:
    name = "vllm:time_to_first_token_seconds_bucket"
    lines = [f'{name}{{engine="{rank}",le="{bound}"}} {rank + 1}\n' for rank in (0, 1) for bound in ("+Inf", "0.5")]
    assert vllm("".join(lines)).ttft_buckets == ((0.5, 3.0), (math.inf, 3.0))


def test_tgi_shows_nothing_before_its_first_request_and_is_idle() -> None:
    names = engine_for("TGI").metrics
    found = sample_of(parse("", names.wanted), names, taken_at=5.0, own_metrics=False, objective=2.0)
    assert found == EngineSample(taken_at=5.0)


def test_tgi_counts_successes_and_failures_and_has_no_cache_gauge() -> None:
    names = engine_for("TGI").metrics
    text = 'tgi_batch_current_size 2\ntgi_queue_size 1\ntgi_request_success 5\ntgi_request_failure{err="x"} 1\n'
    found = sample_of(parse(text, names.wanted), names, taken_at=5.0, own_metrics=True, objective=2.0)
    assert isinstance(found, EngineSample)
    assert (found.in_flight, found.requests_total, found.kv_usage, found.ttft_buckets) == (3.0, 6.0, None, ())


def test_tgi_counts_tokens_at_the_end_so_all_are_of_finished_requests() -> None:
    names = engine_for("TGI").metrics
    text = "tgi_request_input_length_sum 2000\ntgi_request_generated_tokens_sum 900\n"
    found = sample_of(parse(text, names.wanted), names, taken_at=5.0, own_metrics=True, objective=2.0)
    assert isinstance(found, EngineSample)
    assert (found.prompt_tokens_total, found.generation_tokens_total) == (2000, 900)
    assert (found.finished_prompt_tokens_total, found.finished_generation_tokens_total) == (2000, 900)


def sglang(text: str) -> EngineSample | str:
    names = engine_for("SGLang").metrics
    return sample_of(parse(text, names.wanted), names, taken_at=5.0, own_metrics=names.prefix in text, objective=2.0)


def test_stages_of_a_pipeline_and_ranks_of_a_group_count_once_and_data_parallel_ones_each() -> None:
    queue = "sglang:queue_time_seconds_bucket"
    found = sglang(
        "".join(
            f'sglang:num_running_reqs{{tp_rank="0",pp_rank="{stage}",dp_rank="{rank}"}} 3\n'
            f'{queue}{{tp_rank="0",pp_rank="{stage}",dp_rank="{rank}",le="1"}} 4\n'
            f'{queue}{{tp_rank="0",pp_rank="{stage}",dp_rank="{rank}",le="+Inf"}} 5\n'
            f'sglang:cuda_graph_passes_total{{tp_rank="0",pp_rank="{stage}",dp_rank="{rank}",mode="prefill_none"}} 1\n'
            f'sglang:cuda_graph_passes_total{{tp_rank="0",pp_rank="{stage}",dp_rank="{rank}",mode="decode_none"}} 9\n'
            f'sglang:cuda_graph_passes_total{{tp_rank="1",pp_rank="{stage}",dp_rank="{rank}",mode="decode_none"}} 9\n'
            for stage in (0, 1)
            for rank in (0, 1)
        )
    )
    assert isinstance(found, EngineSample)
    assert (found.running, found.queued_total, found.steps_total) == (6, 10, 20)


def test_a_gauge_by_priority_counts_by_its_total_and_a_counter_by_each() -> None:
    found = sglang(
        'sglang:num_queue_reqs{priority=""} 5\nsglang:num_queue_reqs{priority="1"} 3\n'
        'sglang:num_queue_reqs{priority="2"} 2\n'
        'sglang:num_requests_total{priority="1",is_streaming="true"} 7\n'
        'sglang:num_requests_total{priority="2",is_streaming="true"} 1\n'
        'sglang:num_requests_total{priority="2",is_streaming="false"} 2\n'
    )
    assert isinstance(found, EngineSample)
    assert (found.waiting, found.requests_total) == (5, 10)


def test_sglang_that_shows_nothing_is_not_idle() -> None:
    assert "without any sglang: metric" in str(sglang("python_info 1\n"))
