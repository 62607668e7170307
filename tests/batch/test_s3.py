"""A batch that lies in a bucket, on a real server with the S3 API."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from batchworker import log
from batchworker.places import PART, BadInput
from support.batches import S3, ids, options, read_lines, running_s3, work, write_lines
from support.prometheus import free_port
from support.servers import answering, engine, listening


@pytest.fixture
def bucket(s3: S3, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    return s3.bucket(f"bucket-{abs(hash(request.node.name)):x}")


async def test_a_batch_from_a_bucket_into_a_bucket(bucket: Path) -> None:
    port, uri = free_port(), f"s3://{bucket.name}"
    write_lines(bucket / "inputs" / "a b.jsonl", 300)
    async with engine(port):
        for shard in range(3):
            told = options(f"{uri}/inputs/a b.jsonl", f"{uri}/out/today/", port, shards=3, shard=shard)
            assert (await work(told))["done"]
    output = bucket / "out" / "today"
    assert ids(read_lines(output / "output.jsonl")) == {f"line-{number}": 1 for number in range(300)}
    assert (output / "errors.jsonl").read_bytes() == b""
    assert [path.name for path in output.rglob("*") if path.is_file()].count("done.json") == 1
    assert len([path for path in output.rglob("*") if path.is_file()]) == 3


async def test_two_workers_of_one_shard_write_every_line_once(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "FULL", 4000)
    port, uri = free_port(), f"s3://{bucket.name}"
    write_lines(bucket / "in.jsonl", 300)
    told = options(f"{uri}/in.jsonl", f"{uri}/out", port)
    async with engine(port):
        said = await asyncio.gather(*(work(told) for _ in range(2)))
    assert [one["completed"] for one in said] == [300, 300]
    assert ids(read_lines(bucket / "out" / "output.jsonl")) == {f"line-{number}": 1 for number in range(300)}


async def test_files_larger_than_a_part_of_an_upload(bucket: Path) -> None:
    port = free_port()
    write_lines(bucket / "in.jsonl", 200)

    async def says_much(_: web.Request) -> web.StreamResponse:
        return web.json_response({"text": "x" * 100_000})

    async with listening(answering(says_much), port):
        await work(options(f"s3://{bucket.name}/in.jsonl", f"s3://{bucket.name}/out", port))
    path = bucket / "out" / "output.jsonl"
    assert path.stat().st_size > 2 * PART
    assert ids(read_lines(path)) == {f"line-{number}": 1 for number in range(200)}


async def test_a_bucket_or_key_that_is_not_there_is_named(bucket: Path) -> None:
    for uri in (f"s3://{bucket.name}/none.jsonl", "s3://no-such-bucket/in.jsonl"):
        with pytest.raises(BadInput, match=f"{uri}: there is no such file"):
            await work(options(uri, f"s3://{bucket.name}/out", free_port()))


async def test_a_bucket_for_the_output_that_is_not_there_is_named(bucket: Path) -> None:
    write_lines(bucket / "in.jsonl", 1)
    with pytest.raises(BadInput, match="s3://no-such-bucket/out: there is no such bucket"):
        await work(options(f"s3://{bucket.name}/in.jsonl", "s3://no-such-bucket/out", free_port()))


async def test_wrong_credentials_are_said(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lines(bucket / "in.jsonl", 1)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    uri = f"s3://{bucket.name}"
    with pytest.raises(BadInput, match=f"{uri}/in.jsonl: access is refused; look at credentials, bucket and policy"):
        await work(options(f"{uri}/in.jsonl", f"{uri}/out", free_port()))


async def test_a_store_that_is_away_for_a_while_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port, s3_port, asked, away = free_port(), free_port(), asyncio.Event(), asyncio.Event()

    async def is_asked(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            asked.set()
            await away.wait()
        return web.json_response({})

    async with listening(answering(is_asked), port):
        with running_s3(tmp_path, s3_port) as s3:
            for name, value in s3.environment.items():
                monkeypatch.setenv(name, value)
            write_lines(s3.bucket("bucket") / "in.jsonl", 20)
            working = asyncio.create_task(work(options("s3://bucket/in.jsonl", "s3://bucket/out", port)))
            await asyncio.wait_for(asked.wait(), 20)
        away.set()
        # The first chunk is due after a second.
        await asyncio.sleep(2.0)
        with running_s3(tmp_path, s3_port):
            assert (await working)["completed"] == 20
    assert len(read_lines(tmp_path / "buckets" / "bucket" / "out" / "output.jsonl")) == 20
