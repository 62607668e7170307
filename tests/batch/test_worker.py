"""A worker: what becomes of lines, good and bad, when it stops and when it gives up."""

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web

from batchworker import worker
from batchworker.lines import Line
from batchworker.options import parse
from batchworker.places import BadInput
from batchworker.records import answered
from batchworker.request import PATHS
from engineclient import Answer
from support.batches import asked, ids, options, read_lines, work, write_lines, written
from support.prometheus import free_port
from support.servers import answering, engine, listening


async def test_lines_that_are_no_requests_are_errors_that_say_what_is_wrong(tmp_path: Path) -> None:
    port, good = free_port(), asked(0)
    given = written(
        tmp_path, good, "no json", "[" * 100_000, "[]", good | {"custom_id": 7}, good | {"method": "GET"},
        good | {"url": "/v1/other"}, good | {"body": None}, asked(1, stream=True), asked(3, top_p=float("nan")),
        "", "   ", asked(2),
    )  # fmt: skip
    async with engine(port):
        said = await work(options(given, tmp_path / "out", port))
    assert (said["lines"], said["completed"], said["failed"]) == (11, 2, 9)
    errors = read_lines(tmp_path / "out" / "errors.jsonl")
    assert {line["error"]["code"] for line in errors} == {"invalid_line"}
    said_of = " ".join(line["error"]["message"] for line in errors)
    for what in (
        "is not JSON",
        "JSON object",
        "no custom_id",
        "'GET'",
        "'/v1/other'",
        "no body",
        "a stream",
        "a body that is not JSON",
    ):
        assert what in said_of
    assert f"the line at byte {len(json.dumps(good)) + 1} " in said_of
    assert ids(errors)["line-1"] == 1


async def test_a_refusal_is_an_error_with_the_engines_answer(tmp_path: Path) -> None:
    port = free_port()
    given = written(tmp_path, asked(0, model="other"), asked(1))
    async with engine(port):
        await work(options(given, tmp_path / "out", port))
    (error,) = read_lines(tmp_path / "out" / "errors.jsonl")
    assert (error["custom_id"], error["response"]["status_code"], error["error"]) == ("line-0", 404, None)
    assert "does not exist" in error["response"]["body"]["error"]["message"]
    assert ids(read_lines(tmp_path / "out" / "output.jsonl")) == {"line-1": 1}


async def test_the_lines_model_can_be_replaced(tmp_path: Path) -> None:
    port = free_port()
    async with engine(port):
        said = await work(options(written(tmp_path, asked(0, model="o")), tmp_path / "out", port, model="tiny"))
    assert said["completed"] == 1


async def test_a_line_that_engines_break_on_is_an_error_after_its_attempts(tmp_path: Path) -> None:
    port, tries = free_port(), 0

    async def breaks(request: web.Request) -> web.StreamResponse:
        nonlocal tries
        if request.method == "POST":
            tries += 1
            assert request.transport is not None
            request.transport.abort()
        return web.Response()

    async with listening(answering(breaks), port):
        await work(options(written(tmp_path, asked(0)), tmp_path / "out", port, max_attempts=1))
    (error,) = read_lines(tmp_path / "out" / "errors.jsonl")
    assert tries == 1
    assert (error["custom_id"], error["response"], error["error"]["code"]) == ("line-0", None, "attempts_used_up")
    assert "1 attempts were in vain" in error["error"]["message"]


async def test_an_answer_that_is_no_json_is_kept_as_text(tmp_path: Path) -> None:
    port = free_port()

    async def odd(_: web.Request) -> web.StreamResponse:
        return web.Response(text="fine")

    async with listening(answering(odd), port):
        await work(options(written(tmp_path, asked(0)), tmp_path / "out", port))
    assert read_lines(tmp_path / "out" / "output.jsonl")[0]["response"]["body"] == "fine"


def test_an_answer_that_could_not_be_written_as_json_is_kept_as_text() -> None:
    for text in ("NaN", *("[" * depth + "]" * depth for depth in (*range(900, 1000), 100_000))):
        record = answered(Line(0, 1, b""), "a", Answer(200, text.encode(), "application/json", "r"))
        assert record.succeeded
        assert json.loads(record.text, parse_constant=pytest.fail)["response"]["request_id"] == "r"


async def test_nothing_is_asked_before_the_engine_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "READY_SECONDS", 0.01)
    port = free_port()
    working = asyncio.create_task(work(options(write_lines(tmp_path / "in.jsonl", 5), tmp_path / "out", port)))
    while not (tmp_path / "out" / "_batch" / "00000").exists():
        await asyncio.sleep(0.01)
    async with engine(port):
        assert (await working)["completed"] == 5


async def test_a_wrong_key_ends_the_batch_and_fails_no_line(tmp_path: Path) -> None:
    port = free_port()
    given = write_lines(tmp_path / "in.jsonl", 5)
    async with engine(port, "--api-key=right"):
        with pytest.raises(BadInput, match="answers 401: give the engine's key in OPENAI_API_KEY"):
            await work(options(given, tmp_path / "out", port, api_key="wrong"))
        said = await work(options(given, tmp_path / "out", port, api_key="right"))
    assert (said["completed"], said["failed"]) == (5, 0)


def test_a_key_is_read_without_the_line_end_that_a_secret_often_has() -> None:
    words = ["run", "--input=i", "--output=o", "--shards=1", "--engine-url=u", "--control-port=1"]
    assert parse(words, {"JOB_COMPLETION_INDEX": "0", "OPENAI_API_KEY": "right\n"}).api_key == "right"
    assert parse(words, {"JOB_COMPLETION_INDEX": "0", "OPENAI_API_KEY": " "}).api_key is None


async def test_who_is_stopped_finishes_what_is_with_the_engine_and_the_next_one_goes_on(tmp_path: Path) -> None:
    port, stop = free_port(), asyncio.Event()
    given, seen = write_lines(tmp_path / "in.jsonl", 60), 0

    async def stops_at_twenty(request: web.Request) -> web.StreamResponse:
        nonlocal seen
        seen += request.method == "POST"
        if seen == 20:
            stop.set()
        return web.json_response({})

    async with listening(answering(stops_at_twenty), port):
        first = await work(options(given, tmp_path / "out", port), stop)
        assert not first["done"]
        assert 20 <= first["completed"] == seen < 30
        second = await work(options(given, tmp_path / "out", port))
    assert (second["done"], second["linesResumed"], second["completed"], seen) == (True, first["completed"], 60, 60)
    assert ids(read_lines(tmp_path / "out" / "output.jsonl")) == {f"line-{number}": 1 for number in range(60)}


async def test_who_is_stopped_cuts_what_takes_longer_than_its_grace_time(tmp_path: Path) -> None:
    port, stop, reached = free_port(), asyncio.Event(), asyncio.Event()

    async def hangs(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            reached.set()
            await asyncio.sleep(60)
        return web.json_response({})

    async with listening(answering(hangs), port):
        told = options(write_lines(tmp_path / "in.jsonl", 20), tmp_path / "out", port, grace=0.05)
        working = asyncio.create_task(work(told, stop))
        await reached.wait()
        stop.set()
        said = await working
    assert (said["done"], said["completed"], said["failed"]) == (False, 0, 0)


@pytest.mark.parametrize("path", PATHS)
async def test_a_request_goes_where_its_line_says(tmp_path: Path, path: str) -> None:
    port, asked_for = free_port(), []

    async def answers(request: web.Request) -> web.StreamResponse:
        asked_for.append((request.method, request.path))
        return web.json_response({"usage": {"prompt_tokens": 5}})

    async with listening(answering(answers), port):
        said = await work(options(written(tmp_path, asked(0) | {"url": path}), tmp_path / "out", port))
    assert ("POST", path) in asked_for
    assert (said["promptTokens"], said["completionTokens"]) == (5, 0)


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("file:///nowhere/in.jsonl", "there is no such folder"),
        ("file:///tmp/no-such-file-of-a-batch.jsonl", "there is no such file"),
        ("file:///", "names no file"),
        ("http://example.com/in.jsonl", "neither file:///PATH nor s3://BUCKET/KEY"),
        ("s3:///in.jsonl", "neither file:///PATH nor s3://BUCKET/KEY"),
        ("file:///tmp/../in.jsonl", "neither file:///PATH nor s3://BUCKET/KEY"),
        ("in.jsonl", "neither file:///PATH nor s3://BUCKET/KEY"),
    ],
)
async def test_an_input_that_is_not_there_is_named(tmp_path: Path, uri: str, says: str) -> None:
    with pytest.raises(BadInput, match=says) as raised:
        await work(options(uri, tmp_path / "out", free_port()))
    assert uri.rpartition("/")[0] in str(raised.value)


async def test_an_empty_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"in\.jsonl is empty"):
        await work(options(write_lines(tmp_path / "in.jsonl", 0), tmp_path / "out", free_port()))
