"""What lies in a batch's folder in the end, and who may write there: shards, rivals, those who come after a crash."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from batchworker import layout, log
from batchworker.places import BadInput, Folder
from support.batches import asked, ids, options, read_lines, work, write_lines, written
from support.prometheus import free_port
from support.servers import answering, engine, listening


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


async def test_shards_that_end_at_once_make_the_files_together(tmp_path: Path) -> None:
    given, port = write_lines(tmp_path / "in.jsonl", 90), free_port()
    async with engine(port):
        told = [options(given, tmp_path / "out", port, shards=6, shard=shard) for shard in range(6)]
        said = await asyncio.gather(*map(work, told))
    assert all(one["done"] for one in said)
    assert ids(read_lines(tmp_path / "out" / "output.jsonl")) == {f"line-{number}": 1 for number in range(90)}
    assert [path.name for path in (tmp_path / "out" / "_batch").iterdir()] == ["done.json"]


@pytest.mark.parametrize("file", [layout.ANSWERS, layout.ERRORS, layout.DONE])
async def test_files_that_were_not_made_to_the_end_are_made_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    port = free_port()
    given = written(tmp_path, asked(0), "no json", asked(1))
    replace = Folder.replace

    async def breaks(self: Folder, name: str, content: bytes | AsyncIterator[bytes]) -> None:
        if name == file:
            raise OSError("killed")
        await replace(self, name, content)

    async with engine(port):
        monkeypatch.setattr(Folder, "replace", breaks)
        with pytest.raises(OSError, match="killed"):
            await work(options(given, tmp_path / "out", port))
        monkeypatch.undo()
    # No engine is needed any more.
    said = await work(options(given, tmp_path / "out", port))
    assert (said["completed"], said["failed"]) == (2, 1)
    assert len(read_lines(tmp_path / "out" / "output.jsonl")) == 2
    assert len(read_lines(tmp_path / "out" / "errors.jsonl")) == 1
    assert [path.name for path in (tmp_path / "out" / "_batch").iterdir()] == ["done.json"]


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


async def test_a_file_that_is_asked_under_another_model_is_another_batch(tmp_path: Path) -> None:
    port, given = free_port(), write_lines(tmp_path / "in.jsonl", 2)
    async with engine(port):
        assert (await work(options(given, tmp_path / "out", port, model="wrong")))["failed"] == 2
        with pytest.raises(BadInput, match="model wrong"):
            await work(options(given, tmp_path / "out", port, model="tiny"))


async def test_a_worker_that_a_rival_overtakes_as_it_begins_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    told = options(write_lines(tmp_path / "in.jsonl", 9), tmp_path / "out", port)
    opened = log.opened

    async def is_late(*given: Any) -> log.Log:
        monkeypatch.undo()
        await work(told)
        return await opened(*given)

    monkeypatch.setattr(log, "opened", is_late)
    async with engine(port):
        said = await work(told)
    assert (said["done"], said["completed"]) == (True, 9)


async def test_files_of_somebody_else_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "output.jsonl").write_text("mine")
    with pytest.raises(BadInput, match=r"holds output\.jsonl already: give the batch another folder"):
        await work(options(write_lines(tmp_path / "in.jsonl", 1), tmp_path / "out", free_port()))
