"""A worker and its files: what becomes of lines, good and bad, and how a shard goes on."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from batchworker import log, worker
from batchworker.lines import Line
from batchworker.places import BadInput
from batchworker.records import answered
from batchworker.request import PATHS
from engineclient import Answer
from support.batches import asked, ids, options, read_lines, work, write_lines
from support.prometheus import free_port
from support.servers import answering, engine, listening


def written(tmp_path: Path, *lines: str | dict[str, Any]) -> Path:
    path = tmp_path / "input.jsonl"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


async def test_shards_together_answer_every_line_and_the_last_one_makes_the_files(tmp_path: Path) -> None:
    given, output, port = write_lines(tmp_path / "in put" / "50%20ä#.jsonl", 200), tmp_path / "out?put", free_port()
    async with engine(port):
        said = [await work(options(given, output, port, shards=3, shard=shard)) for shard in (2, 0)]
        assert not (output / "output.jsonl").exists()
        said.append(await work(options(given, output, port, shards=3, shard=1)))
    lines = read_lines(output / "output.jsonl")
    assert ids(lines) == {f"line-{number}": 1 for number in range(200)}
    assert (output / "errors.jsonl").read_text() == ""
    assert lines[0].keys() == {"id", "custom_id", "response", "error"}
    assert lines[0]["response"]["status_code"] == 200
    assert lines[0]["response"]["request_id"]
    assert lines[0]["response"]["body"]["usage"]["completion_tokens"] == 1
    for count in ("lines", "completed", "completionTokens"):
        assert sum(one[count] for one in said) == 200
    assert [path.name for path in (output / "_batch").iterdir()] == ["done.json"]


async def test_lines_that_are_no_requests_are_errors_that_say_what_is_wrong(tmp_path: Path) -> None:
    port, good = free_port(), asked(0)
    given = written(
        tmp_path, good, "no json", "[" * 100_000, "[]", good | {"custom_id": 7}, good | {"method": "GET"},
        good | {"url": "/v1/other"}, good | {"body": None}, asked(1, stream=True), "", "   ", asked(2),
    )  # fmt: skip
    async with engine(port):
        said = await work(options(given, tmp_path / "out", port))
    assert (said["lines"], said["completed"], said["failed"]) == (10, 2, 8)
    errors = read_lines(tmp_path / "out" / "errors.jsonl")
    assert {line["error"]["code"] for line in errors} == {"invalid_line"}
    said_of = " ".join(line["error"]["message"] for line in errors)
    for what in ("is not JSON", "JSON object", "no custom_id", "'GET'", "'/v1/other'", "no body", "a stream"):
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


async def test_two_workers_of_one_shard_write_every_line_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "FULL", 4000)
    port = free_port()
    given = write_lines(tmp_path / "in.jsonl", 300)
    async with engine(port):
        said = await asyncio.gather(*(work(options(given, tmp_path / "out", port)) for _ in range(2)))
    assert [one["done"] for one in said] == [True, True]
    assert ids(read_lines(tmp_path / "out" / "output.jsonl")) == {f"line-{number}": 1 for number in range(300)}
    assert {one["completed"] for one in said} == {300}


async def test_a_chunk_that_was_cut_short_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port, stop = free_port(), asyncio.Event()
    given = write_lines(tmp_path / "in.jsonl", 60)

    async def stops(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            stop.set()
        return web.json_response({})

    async with listening(answering(stops), port):
        first = await work(options(given, tmp_path / "out", port), stop)
        assert first["completed"]
        chunk = max((tmp_path / "out" / "_batch" / "00000").iterdir())
        chunk.write_bytes(chunk.read_bytes()[:-10])
        second = await work(options(given, tmp_path / "out", port))
    assert (second["linesResumed"], second["completed"]) == (0, 60)
    assert ids(read_lines(tmp_path / "out" / "output.jsonl")) == {f"line-{number}": 1 for number in range(60)}


async def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    port = free_port()
    given, output = write_lines(tmp_path / "in.jsonl", 9), tmp_path / "out"
    (output / "_batch" / "00000").mkdir(parents=True)
    for name in ("output.jsonl#1", "_batch/00000/00000003#1", "notes #1"):
        (output / name).write_text("half")
    async with engine(port):
        await work(options(given, output, port))
    found = {str(path.relative_to(output)) for path in output.rglob("*")}
    assert found == {"output.jsonl", "errors.jsonl", "notes #1", "_batch", "_batch/done.json"}


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


async def test_a_shard_that_is_done_asks_nobody_again(tmp_path: Path) -> None:
    port = free_port()
    told = [options(write_lines(tmp_path / "in.jsonl", 9), tmp_path / "out", port, shards=2, shard=i) for i in (0, 1)]
    async with engine(port):
        said = [await work(told[0]), await work(told[1])]
    # No engine is there any more.
    assert [await work(one) for one in told] == said


async def test_another_batch_is_kept_out_of_the_folder(tmp_path: Path) -> None:
    port = free_port()
    given = write_lines(tmp_path / "in.jsonl", 9)
    async with engine(port):
        await work(options(given, tmp_path / "out", port, shards=2))
        with pytest.raises(BadInput, match=r"another batch began .*, 2 shards\), and this one .* 1 shards: give it"):
            await work(options(given, tmp_path / "out", port))
        await work(options(given, tmp_path / "out", port, shards=2, shard=1))
        given = write_lines(tmp_path / "in.jsonl", 10)
        with pytest.raises(BadInput, match="another batch began"):
            await work(options(given, tmp_path / "out", port, shards=2))


async def test_files_of_somebody_else_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "output.jsonl").write_text("mine")
    with pytest.raises(BadInput, match=r"holds output\.jsonl already: give the batch another folder"):
        await work(options(write_lines(tmp_path / "in.jsonl", 1), tmp_path / "out", free_port()))


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
