"""What a fetch does with a volume that is full, that does not answer, or that has files of its own name."""

import asyncio
import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modelfetch import __main__ as program
from modelfetch import fetcher
from modelfetch.fetcher import Fetcher
from modelfetch.folder import ModelFolder
from modelfetch.options import Download, Options
from modelfetch.origin import File, Origin, Unavailable, is_plain

FULL = r"no space is left on the claim: raise model\.cache\.size"
LLAMA = Download("hf://acme/llama", "llama-1")
FILES = (File("config.json", 2, "a"), File("model.safetensors", 6, "b"))


class Written(Origin):
    """A source whose files are there at once."""

    fails: BaseException | None = None

    async def files(self) -> Sequence[File]:
        return FILES

    async def fetch(self, file: File, folder: Path) -> None:
        if self.fails:
            raise self.fails
        (folder / file.name).write_bytes(b"x" * file.size)


@pytest.fixture
def origin(monkeypatch: pytest.MonkeyPatch) -> Written:
    source = Written()
    monkeypatch.setattr(fetcher, "origin_of", lambda _: source)
    return source


def asked(root: Path) -> Fetcher:
    return Fetcher(Options(root=root, downloads=(LLAMA,), control_port=0))


async def test_a_volume_without_room_is_said_before_anything_is_fetched(
    tmp_path: Path, origin: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetcher, "GIB", 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=7))
    origin.fails = AssertionError("nothing is to be fetched")
    with pytest.raises(Unavailable, match=FULL) as said:
        await asked(tmp_path).run()
    assert "8.0 GiB are to be fetched and 7.0 GiB are free" in str(said.value)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
async def test_a_volume_that_gets_full_is_said_and_the_next_try_goes_on(
    tmp_path: Path, origin: Written, number: int
) -> None:
    origin.fails = OSError(number, os.strerror(number), str(tmp_path))
    with pytest.raises(Unavailable, match=FULL):
        await asked(tmp_path).run()
    origin.fails = None
    await asked(tmp_path).run()
    assert sorted(path.name for path in (tmp_path / "llama-1").iterdir()) == [
        ".complete", "config.json", "model.safetensors",
    ]  # fmt: skip


@pytest.mark.parametrize("silent", [".complete", "model.safetensors"])
async def test_a_volume_that_does_not_answer_loses_nothing_that_a_replica_loads(
    tmp_path: Path, origin: Written, monkeypatch: pytest.MonkeyPatch, silent: str
) -> None:
    await asked(tmp_path).run()
    origin.fails = AssertionError("nothing is to be fetched")

    def hanging(call: Any) -> Any:
        def answer(path: Path, *arguments: Any, **more: Any) -> Any:
            if path.name == silent:
                raise OSError(errno.EIO, "Input/output error", str(path))
            return call(path, *arguments, **more)

        return answer

    with monkeypatch.context() as away:
        away.setattr(Path, "read_text", hanging(Path.read_text))
        away.setattr(Path, "stat", hanging(Path.stat))
        with pytest.raises(Unavailable, match="Input/output error"):
            await asked(tmp_path).run()
    assert ModelFolder(tmp_path, LLAMA).is_whole()


def test_what_a_fetch_keeps_itself_is_no_file_of_a_source() -> None:
    names = ["a/.complete", "a/.cache/x", ".complete", ".cache/huggingface/x", "", "a//b", "../a"]
    assert [name for name in names if is_plain(name)] == ["a/.complete", "a/.cache/x"]


async def test_an_error_that_nobody_thought_of_is_a_last_word(tmp_path: Path, origin: Written) -> None:
    origin.fails = KeyError("sha")
    status, said = await program._fetch(asked(tmp_path), asyncio.Event())
    assert (status, said) == (1, "the fetch ended by KeyError, which it does not know ('sha'): see its log")
