"""A model of a hub, by the hub's own client."""

import asyncio
import errno
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hf_xet import XetAuthenticationError
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import XetDownloadError

from modelfetch.hub import Hub, wanted
from modelfetch.origin import File, Unavailable
from support.fetches import RunningHub, download, fetch, fetch_process, files_of, running_hub, write_model
from support.hub_server import COMMIT
from support.kube import eventually
from support.prometheus import free_port

LLAMA = download("hf://acme/llama", "llama-1")
SLOW = "--rate=1000000"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[RunningHub]:
    with running_hub(tmp_path / "hub") as server:
        yield server


def at(hub: RunningHub, **more: str) -> dict[str, str]:
    return {"HF_ENDPOINT": hub.url, **more}


def test_a_model_is_fetched_once(tmp_path: Path, hub: RunningHub) -> None:
    files = write_model(hub.folder / "acme" / "llama")
    status, said = fetch(tmp_path, LLAMA, environment=at(hub))
    assert status == 0, said
    figures = json.loads(said)
    assert figures["bytesDone"] == figures["bytesTotal"] == sum(map(len, files.values()))
    assert figures["filesDone"] == figures["filesTotal"] == len(files)
    assert files_of(tmp_path / "models" / "llama-1") == files
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["llama-1"]
    before = len(hub.requests)
    assert fetch(tmp_path, LLAMA, environment=at(hub))[0] == 0
    assert len(hub.requests) == before, "what is whole needs no network"


def test_all_files_are_of_one_commit(tmp_path: Path, hub: RunningHub) -> None:
    write_model(hub.folder / "acme" / "llama")
    assert fetch(tmp_path, LLAMA | {"revision": "main"}, environment=at(hub))[0] == 0
    assert all(f"/resolve/{COMMIT}/" in line for line in hub.requests if "/resolve/" in line)


def test_a_killed_fetch_goes_on_from_the_files_that_are_there(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub", SLOW) as hub:
        files = write_model(hub.folder / "acme" / "llama", shards=2)
        with fetch_process(tmp_path, LLAMA, environment=at(hub)) as process:
            said = eventually(lambda: (one := process.progress()) and one["filesDone"] == 2 and one)
            assert said["bytesTotal"] == sum(map(len, files.values()))
            process.kill()
        assert not (tmp_path / "models" / "llama-1").exists()
        begun = hub.fetched()
        with fetch_process(tmp_path, LLAMA, environment=at(hub)) as process:
            assert process.end() == 0
        again = hub.fetched()[len(begun) :]
        assert files_of(tmp_path / "models" / "llama-1") == files
        assert {name for name in again if name.endswith(".json")} == set()


def test_a_fetch_that_is_told_to_stop_stops_at_once(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub", "--rate=100000") as hub:
        write_model(hub.folder / "acme" / "llama")
        with fetch_process(tmp_path, LLAMA, environment=at(hub)) as process:
            eventually(lambda: (one := process.progress()) and one["filesTotal"])
            process.process.terminate()
            assert process.end(20) == 1
            assert "goes on from the files that are there" in process.last_word


@pytest.mark.parametrize("damage", ["short", "gone"])
def test_a_damaged_model_is_mended(tmp_path: Path, hub: RunningHub, damage: str) -> None:
    files = write_model(hub.folder / "acme" / "llama")
    assert fetch(tmp_path, LLAMA, environment=at(hub))[0] == 0
    whole = tmp_path / "models" / "llama-1"
    if damage == "short":
        (whole / "model-00001.safetensors").write_bytes(b"half")
    else:
        (whole / "model-00001.safetensors").unlink()
    before = len(hub.fetched())
    assert fetch(tmp_path, LLAMA, environment=at(hub))[0] == 0
    assert files_of(whole) == files
    assert hub.fetched()[before:] == ["model-00001.safetensors"]


def test_the_token_is_sent(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub", "--token=secret") as hub:
        write_model(hub.folder / "acme" / "llama")
        assert fetch(tmp_path, LLAMA, environment=at(hub, HF_TOKEN="secret"))[0] == 0
        status, said = fetch(tmp_path, download("hf://acme/llama", "other"), environment=at(hub, HF_TOKEN=""))
        assert (status, "model.tokenSecretRef" in said) == (2, True), said


def test_a_gated_model_is_refused(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub", "--gated") as hub:
        status, said = fetch(tmp_path, LLAMA, environment=at(hub))
        assert (status, said) == (
            2,
            "hf://acme/llama is gated: accept its terms on the hub, and give a token of that account in "
            "model.tokenSecretRef",
        )


def test_a_model_or_revision_that_is_not_there_is_named(tmp_path: Path, hub: RunningHub) -> None:
    write_model(hub.folder / "acme" / "llama")
    status, said = fetch(tmp_path, download("hf://acme/none", "none"), environment=at(hub))
    assert (status, said.startswith("hf://acme/none: there is no such model, or it is private")) == (2, True), said
    status, said = fetch(tmp_path, LLAMA | {"revision": "v9"}, environment=at(hub))
    assert (status, said) == (2, "hf://acme/llama has no revision v9: correct the revision")


def test_a_hub_that_is_out_of_reach_is_tried_again(tmp_path: Path) -> None:
    host = f"127.0.0.1:{free_port()}"
    status, said = fetch(tmp_path, LLAMA, environment={"HF_ENDPOINT": f"http://user:secret@{host}"})
    assert status == 1
    assert said.startswith(f"hf://acme/llama: http://{host} is out of reach"), said


async def test_a_hub_that_says_nothing_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    gone, port = asyncio.Event(), free_port()
    monkeypatch.setattr("modelfetch.hub.LISTING_SECONDS", 0.5)
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
    async with await asyncio.start_server(silent, "127.0.0.1", port):
        async with asyncio.timeout(20):
            with pytest.raises(Unavailable, match=f"http://127.0.0.1:{port} is out of reach .timed out"):
                await Hub("acme/llama", None).files()
        gone.set()


def test_a_model_without_a_file_that_engines_load_is_refused(tmp_path: Path, hub: RunningHub) -> None:
    (hub.folder / "acme" / "llama").mkdir(parents=True)
    (hub.folder / "acme" / "llama" / "model.onnx").write_bytes(b"weights")
    status, said = fetch(tmp_path, LLAMA, environment=at(hub))
    assert (status, said) == (
        2, "hf://acme/llama has no file that an engine loads: correct the source or the revision",
    )  # fmt: skip


def test_folders_that_nobody_loads_are_removed_first(tmp_path: Path, hub: RunningHub) -> None:
    write_model(hub.folder / "acme" / "llama")
    models = tmp_path / "models"
    for name in ("serving", "old", "older.partial"):
        write_model(models / name, size=10)
    (models / "link").symlink_to(models / "serving")
    assert fetch(tmp_path, LLAMA, keep=("serving",), environment=at(hub))[0] == 0
    assert {path.name for path in models.iterdir()} == {"serving", "llama-1"}


def test_weights_that_no_engine_loads_are_left_out() -> None:
    names = ["config.json", "a.safetensors", "pytorch_model.bin", "original/c.pth", "tf_model.h5", "onnx/m.onnx"]
    files = [File(name, 1, "t") for name in names]
    assert [file.name for file in wanted(files)] == ["config.json", "a.safetensors"]
    assert [file.name for file in wanted(files[2:])] == ["pytorch_model.bin", "original/c.pth"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (XetAuthenticationError("token expired"), r"hf://acme/llama: .* is out of reach \(token expired\)"),
        (XetDownloadError("bad range"), r"hf://acme/llama: .* is out of reach \(bad range\)"),
        (RuntimeError("CAS service error"), r"hf://acme/llama: .* is out of reach \(CAS service error\)"),
        (TimeoutError("deadline"), r"hf://acme/llama: .* is out of reach \(deadline\)"),
        (RuntimeError("No space left on device (os error 28)"), "No space left"),
        (PermissionError(errno.EACCES, "Permission denied"), "Permission denied"),
    ],
)
async def test_what_the_hubs_storage_says_is_not_taken_for_what_the_volume_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(HfApi, "hf_hub_download", fail)
    is_remote = "out of reach" in said
    with pytest.raises(Unavailable if is_remote else OSError, match=said) as found:
        await Hub("acme/llama", None).fetch(File("config.json", 1, "t"), tmp_path)
    if not is_remote:
        assert getattr(found.value, "errno", None) in {errno.ENOSPC, errno.EACCES}
