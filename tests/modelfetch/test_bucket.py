"""A model of a bucket, on a real server with the S3 API."""

import asyncio
import json
import os
import resource
import time
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from modelfetch.bucket import PART, PATIENCE, Bucket, _write
from modelfetch.origin import File, Unavailable
from support.batches import S3
from support.fetches import download, fetch, fetch_process, files_of, write_model
from support.kube import eventually
from support.prometheus import free_port
from support.servers import answering, listening

SIZE = 2 * PART + 5


@pytest.fixture
def bucket(s3: S3, request: pytest.FixtureRequest) -> Path:
    return s3.bucket(f"bucket-{abs(hash(request.node.name)):x}")


def test_a_model_is_fetched_once_in_parts(tmp_path: Path, s3: S3, bucket: Path) -> None:
    files = write_model(bucket / "models" / "llama", size=SIZE)
    write_model(bucket / "models" / "llama-2", size=1)
    told = download(f"s3://{bucket.name}/models/llama", "llama-1")
    status, said = fetch(tmp_path, told, environment=s3.environment)
    assert status == 0, said
    figures = json.loads(said)
    assert figures["bytesDone"] == figures["bytesTotal"] == sum(map(len, files.values()))
    assert files_of(tmp_path / "models" / "llama-1") == files
    gone = {**s3.environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    assert fetch(tmp_path, told, environment=gone)[0] == 0, "what is whole needs no network"


def test_an_object_may_have_any_name(tmp_path: Path, s3: S3, bucket: Path) -> None:
    files = write_model(bucket / "llama", size=SIZE)
    for name in ("config.json.incomplete", "model-00000.safetensors.incomplete", "a b#%20[1]é"):
        files[name] = os.urandom(SIZE)
        (bucket / "llama" / name).write_bytes(files[name])
    status, said = fetch(tmp_path, download(f"s3://{bucket.name}/llama", "llama-1"), environment=s3.environment)
    assert status == 0, said
    assert files_of(tmp_path / "models" / "llama-1") == files


def test_several_sources_are_fetched_by_one_run(tmp_path: Path, s3: S3, bucket: Path) -> None:
    base, adapter = write_model(bucket / "base", size=10), write_model(bucket / "adapter", size=20)
    both = [download(f"s3://{bucket.name}/{name}", name) for name in ("base", "adapter")]
    status, said = fetch(tmp_path, *both, environment=s3.environment)
    assert (status, json.loads(said)["filesTotal"]) == (0, len(base) + len(adapter))
    assert files_of(tmp_path / "models" / "base") == base
    assert files_of(tmp_path / "models" / "adapter") == adapter


def test_a_killed_fetch_does_not_fetch_whole_files_again(tmp_path: Path, bucket: Path, s3: S3) -> None:
    files = write_model(bucket / "llama", shards=24, size=SIZE)
    told = download(f"s3://{bucket.name}/llama", "llama-1")
    with fetch_process(tmp_path, told, environment=s3.environment) as process:
        eventually(lambda: (one := process.progress()) and one["filesDone"] > 3 and one["bytesPerSecond"] > 0, 30)
        process.kill()
    partial = tmp_path / "models" / "llama-1.partial"
    there = set(json.loads((partial / ".complete").read_text())["files"])
    assert 3 < len(there) < len(files)
    written = {name: (partial / name).stat().st_mtime_ns for name in there}
    assert fetch(tmp_path, told, environment=s3.environment)[0] == 0
    whole = tmp_path / "models" / "llama-1"
    assert files_of(whole) == files
    assert {name: (whole / name).stat().st_mtime_ns for name in there} == written


def test_an_object_that_was_replaced_is_fetched_again(tmp_path: Path, bucket: Path, s3: S3) -> None:
    write_model(bucket / "llama", shards=1, size=10)
    told = download(f"s3://{bucket.name}/llama", "llama-1")
    assert fetch(tmp_path, told, environment=s3.environment)[0] == 0
    whole = tmp_path / "models" / "llama-1"
    (whole / "config.json").unlink()
    new = write_model(bucket / "llama", shards=1, size=10)
    later = time.time() + 2
    for name in new:  # a file that no client wrote has no ETag, and a date in whole seconds
        os.utime(bucket / "llama" / name, (later, later))
    assert fetch(tmp_path, told, environment=s3.environment)[0] == 0
    assert files_of(whole) == new


def test_a_bucket_or_prefix_that_is_not_there_is_named(tmp_path: Path, bucket: Path, s3: S3) -> None:
    status, said = fetch(tmp_path, download("s3://no-such-bucket/llama", "a"), environment=s3.environment)
    assert (status, said) == (2, "s3://no-such-bucket/llama: there is no bucket no-such-bucket: correct the source")
    status, said = fetch(tmp_path, download(f"s3://{bucket.name}/none", "a"), environment=s3.environment)
    assert (status, said.partition(": ")[2]) == (
        2, "there is no object under this prefix: correct the bucket or the prefix",
    )  # fmt: skip


def test_wrong_credentials_are_said(tmp_path: Path, bucket: Path, s3: S3) -> None:
    write_model(bucket / "llama", size=10)
    wrong = {**s3.environment, "AWS_SECRET_ACCESS_KEY": "wrong"}
    status, said = fetch(tmp_path, download(f"s3://{bucket.name}/llama", "a"), environment=wrong)
    assert (status, "access is refused: look at model.s3.credentialsSecretRef" in said) == (2, True), said


async def test_a_server_that_is_out_of_reach_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelfetch.bucket.RETRIES", {"max_retries": 1, "retry_timeout": timedelta(seconds=5)})
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://user:secret@127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    with pytest.raises(Unavailable) as found:
        await Bucket("models", "llama").files()
    assert str(found.value).startswith("s3://models/llama is out of reach (")
    assert str(found.value).endswith("): look at model.s3.endpointURL")
    assert "http://127.0.0.1:" in str(found.value), "but not the password"
    assert "\n" not in str(found.value)
    assert len(str(found.value)) < 400


@pytest.mark.parametrize("pause", [0.4, 60.0], ids=["slow", "silent"])
async def test_a_server_may_be_slow_but_not_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pause: float
) -> None:
    async def slowly(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(status=206, headers={
            "Content-Range": "bytes 0-9/10", "Content-Length": "10", "Last-Modified": "Sat, 28 Nov 2026 00:00:00 GMT",
        })  # fmt: skip
        await answer.prepare(request)
        for _ in range(10):
            await answer.write(b"x")
            await asyncio.sleep(pause)
        return answer

    port = free_port()
    monkeypatch.setattr("modelfetch.bucket.PATIENCE", PATIENCE | {"read_timeout": timedelta(seconds=3)})
    monkeypatch.setattr("modelfetch.bucket.RETRIES", {"max_retries": 0, "retry_timeout": timedelta(seconds=5)})
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    async with listening(answering(slowly), port), asyncio.timeout(60):
        fetching = Bucket("models", "llama").fetch(File("config.json", 10, "no ETag"), tmp_path)
        if pause < 1:
            await fetching
            assert (tmp_path / "config.json").read_bytes() == b"x" * 10
        else:
            with pytest.raises(Unavailable, match="out of reach"):
                await fetching
            assert not (tmp_path / "config.json").exists()


def test_a_part_that_finds_no_room_for_its_end_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            _write(path, bytes(8192), 0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
