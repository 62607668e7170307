"""Traces: the formats that are read, what is said of a wrong one, and the generators."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from llmendpoint.simulate.trace_files import TraceError
from llmendpoint.simulate.trace_generators import Step, from_steps
from llmendpoint.simulate.traces import Trace, load_trace, make_trace

OWN = "t,input_tokens,output_tokens\n5.5,100,10\n7.0,200,20\n"
AZURE = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2023-11-16 18:17:03.9799600,4808,10\n"
    "2023-11-16 18:17:04.0319600,3180,8\n"
)  # fmt: skip
AZURE_2024 = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2024-05-12 00:00:00.003087+00:00,2399,5\n"
    "2024-05-12 00:00:01.503087+00:00,76,81\n"
)  # fmt: skip
BURSTGPT = (
    "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    '45,1,3,ChatGPT,472,18,490,"Conversation log"\n'
    "118,2,0,GPT-4,1087,0,1087,API log\n"
)
MOONCAKE = "\n".join(
    json.dumps({"timestamp": at, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1]}) for at in (1000, 4000)
)


def written(directory: Path, text: str, name: str = "trace.csv") -> str:
    path = directory / name
    path.write_text(text)
    return str(path)


def rows(trace: Trace) -> list[tuple[float, int, int]]:
    columns = (trace.t.round(6), trace.input_tokens, trace.output_tokens)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (OWN, [(5.5, 100, 10), (7.0, 200, 20)]),
        ("\ufeff" + OWN.replace("\n", "\r\n"), [(5.5, 100, 10), (7.0, 200, 20)]),
        (AZURE, [(0.0, 4808, 10), (0.052, 3180, 8)]),
        (AZURE_2024, [(0.0, 2399, 5), (1.5, 76, 81)]),
        (BURSTGPT, [(0.0, 472, 18), (73.0, 1087, 1)]),
        (MOONCAKE, [(0.0, 6758, 500), (3.0, 6758, 500)]),
        ("t,input_tokens,output_tokens\n1,5,6\n\n0,3,4\n", [(0.0, 3, 4), (1.0, 5, 6)]),
        ("t,input_tokens,output_tokens\n2,5,0", [(2.0, 5, 1)]),
    ],
    ids=["own", "byte order mark", "Azure", "Azure 2024", "BurstGPT", "Mooncake", "unsorted", "one row"],
)
def test_each_format_is_read(tmp_path: Path, text: str, expected: list[tuple[float, int, int]]) -> None:
    assert rows(load_trace(written(tmp_path, text))) == expected


def test_a_compressed_file_is_told_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_bytes(gzip.compress(OWN.encode()))
    assert len(load_trace(str(path)).t) == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("a,b,c\n1,2,3\n", "expected the columns"),
        ("t,input_tokens,output_tokens\n", "has a header and no request"),
        (OWN + "8.0,abc,3\n", "line 4: '8.0,abc,3'"),
        (OWN + "\n8.0,3\n", "line 5: '8.0,3'"),
        (OWN + "8.0,-3,3\n", "line 4"),
        (OWN + "-8.0,3,3\n", "line 4"),
        (OWN + "nan,3,3\n", "line 4"),
        (OWN + "8.0,3.5,3\n", "line 4"),
        (OWN + "8.0,99999999999,3\n", "line 4"),
        (AZURE + "yesterday,3,3\n", "line 4"),
        (MOONCAKE + "\n{}\n", "line 3"),
        (MOONCAKE + "\n[1]\n", "line 3"),
    ],
)
def test_a_wrong_file_is_reported_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(TraceError) as refused:
        load_trace(written(tmp_path, text))
    assert sentence in str(refused.value)


def test_a_file_that_is_not_there_or_broken_is_reported(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"no trace 'poison:rate=2': give a file or one of the generators poisson, "):
        load_trace("poison:rate=2")
    with pytest.raises(TraceError, match=r"can not be read: .*Is a directory"):
        load_trace(str(tmp_path))
    broken = tmp_path / "broken.gz"
    broken.write_bytes(gzip.compress(OWN.encode())[:-9])
    with pytest.raises(TraceError, match="can not be read"):
        load_trace(str(broken))


@pytest.mark.parametrize("name", ["poisson", "gamma-modulated", "diurnal", "step", "spike"])
def test_a_generator_gives_the_same_requests_for_the_same_seed(name: str) -> None:
    text = f"{name}:rate=3,hours=2"
    one, same, other = load_trace(text, 1), load_trace(text, 1), load_trace(text, 2)
    assert rows(one) == rows(same)
    assert rows(one) != rows(other)
    assert (np.diff(one.t) >= 0).all()
    assert one.duration == 7200.0 > one.t[-1]
    assert one.input_tokens.min() >= 1


def test_generators_have_the_rates_that_they_name() -> None:
    def counts(text: str, seconds: float) -> np.ndarray:
        trace = load_trace(text)
        return np.histogram(trace.t, np.arange(0.0, trace.duration + 1.0, seconds))[0]

    poisson = counts("poisson:rate=10,hours=10", 60.0)
    assert poisson.mean() == pytest.approx(600.0, rel=0.01)
    assert poisson.var() == pytest.approx(600.0, rel=0.2)
    modulated = counts("gamma-modulated:rate=10,hours=50,cv=0.5", 60.0)
    assert modulated.std() / modulated.mean() == pytest.approx(0.5, rel=0.1)
    day = counts("diurnal:rate=1,hours=24,peak=5", 3600.0)
    assert day[[11, 12]].mean() / day[[0, 23]].mean() == pytest.approx(5.0, rel=0.2)
    step = counts("step:rate=2,hours=1,factor=3,at=1200", 1200.0)
    assert step[1:].mean() / step[0] == pytest.approx(3.0, rel=0.15)
    spike = counts("spike:rate=2,hours=1,factor=10,at=600,seconds=60", 60.0)
    assert (spike.argmax(), spike.max()) == (10, pytest.approx(1200, rel=0.15))


def test_lengths_have_the_mean_and_spread_that_are_named() -> None:
    trace = load_trace("poisson:rate=50,hours=1,input=700,output=90,length_cv=0.5")
    assert trace.input_tokens.mean() == pytest.approx(700, rel=0.02)
    assert trace.output_tokens.std() / trace.output_tokens.mean() == pytest.approx(0.5, rel=0.03)
    fixed = load_trace("poisson:rate=5,hours=0.1,input=700,output=90,length_cv=0")
    assert (set(fixed.input_tokens.tolist()), set(fixed.output_tokens.tolist())) == ({700}, {90})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("poisson:speed=3", "it knows rate, hours, input"),
        ("poisson:rate=fast", "rate must be a number"),
        ("poisson:hours=0", "hours must be above 0"),
        ("poisson:rate=-1", "rate must be 0 or more"),
        ("poisson:rate=nan", "rate must be 0 or more"),
        ("poisson:rate=1e6,hours=100", "more than 50,000,000 requests"),
    ],
)
def test_a_wrong_setting_of_a_generator_is_named(text: str, sentence: str) -> None:
    with pytest.raises(TraceError) as refused:
        load_trace(text)
    assert sentence in str(refused.value)


def test_more_users_are_shifted_copies_that_keep_lengths_and_span() -> None:
    trace = load_trace("poisson:rate=2,hours=0.5", 1)
    more = trace.scaled(6, seed=3)
    assert len(more.t) == 6 * len(trace.t)
    assert more.duration == trace.duration
    assert (np.diff(more.t) >= 0).all()
    assert 0 <= more.t[0] <= more.t[-1] <= trace.duration
    assert more.input_tokens.sum() == 6 * trace.input_tokens.sum()
    # As that of six times as many users: the noise of a minute's count is sqrt(6) times as large, not 6 times.
    assert spread_of_minutes(more) < 4 * spread_of_minutes(trace)
    assert rows(trace.scaled(6, seed=3)) == rows(more)
    assert rows(trace.scaled(6, seed=4)) != rows(more)


def spread_of_minutes(trace: Trace) -> float:
    counts, _ = np.histogram(trace.t, np.arange(0.0, 1801.0, 60.0))
    return float(counts.std())


def test_fewer_users_are_some_of_the_requests() -> None:
    trace = load_trace("poisson:rate=2,hours=0.5", 1)
    fewer = trace.scaled(0.5, seed=3)
    assert len(fewer.t) == pytest.approx(len(trace.t) / 2, rel=0.1)
    assert set(fewer.t.tolist()) <= set(trace.t.tolist())
    assert len(trace.scaled(2.5).t) == pytest.approx(2.5 * len(trace.t), rel=0.1)
    assert rows(trace.scaled(1.0)) == rows(trace)


def test_steps_become_requests_anywhere_in_them_with_their_mean_lengths() -> None:
    steps = [Step(400.4, 1000.0, 50.0), Step(0.0, 1000.0, 50.0), Step(600.4, 200.0, 300.0)]
    trace = make_trace(*from_steps(steps, 60.0, 7))
    assert np.histogram(trace.t, [0.0, 60.0, 120.0, 180.0])[0].tolist() == [400, 0, 601]
    assert trace.duration == 180.0
    first, last = trace.between(0.0, 60.0), trace.between(120.0, 180.0)
    assert first.input_tokens.mean() == pytest.approx(1000, rel=0.15)
    assert last.output_tokens.mean() == pytest.approx(300, rel=0.15)
    assert rows(make_trace(*from_steps(steps, 60.0, 7))) == rows(trace)
