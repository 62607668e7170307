"""The files of adapters: fetched once to the volume, beside the weights, for all replicas that have it."""

import asyncio
import contextlib
import os
import shutil
import socket
import time
from collections.abc import Set as AbstractSet
from pathlib import Path

from adapterloader.adapters import Wanted
from modelfetch.fetcher import Fetcher
from modelfetch.folder import ModelFolder
from modelfetch.options import Download, Options
from modelfetch.origin import COMPLETE

ASIDE = ".fetching-"
# A replica that ended in a fetch left its folder, and none of the same name comes to go on.
ABANDONED_SECONDS = 24 * 3600.0
# Replicas that have the volume together may have lists of different age, and engines requests for what has left theirs.
UNNAMED_SECONDS = 7 * 24 * 3600.0
# A fetch from a bucket has up to 128 MiB in memory.
FETCHES_AT_ONCE = 4


async def fetched(turns: asyncio.Semaphore, root: Path, wanted: Wanted) -> Path:
    """The folder of an adapter, which is whole. What another replica has fetched is not fetched again.

    Args:
        turns: bound how many are fetched at once. What is there waits for none.

    Raises:
        modelfetch.origin.Refused: it can not be fetched, however often it is tried.
        modelfetch.origin.Unavailable: it may be, the next time.
    """
    # A whole model, named by mistake, would fill the volume that the engine has its weights on.
    download = Download(wanted.source, wanted.folder, wanted.revision, needs="adapter_config.json")
    place = root / wanted.folder
    # In threads: a volume that hangs is not to keep the kubelet from an answer.
    if await asyncio.to_thread(lambda: place.exists() and ModelFolder(root, download).is_whole()):
        return place
    # Replicas that have the volume together may fetch at the same time: each in a folder of its own.
    aside = root / f"{ASIDE}{socket.gethostname()}" / wanted.folder
    async with turns:
        await Fetcher(Options(root=aside, downloads=(download,), control_port=0)).run()
        await asyncio.to_thread(_move, aside, place)
    return place


async def tidied(root: Path, folders: AbstractSet[str]) -> None:
    """Say of folders that a list names them, and remove what no replica says that of for a week, or left half done."""
    await asyncio.to_thread(_tidy, root, folders)


def _tidy(root: Path, folders: AbstractSet[str]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):  # it is yet to be fetched
            os.utime(root / folder)
    for path in root.glob("[!.]*"):
        with contextlib.suppress(OSError):  # another replica removes it
            is_fetched = path.name not in folders and (path / COMPLETE).is_file()
            if is_fetched and time.time() - path.stat().st_mtime > UNNAMED_SECONDS:
                shutil.rmtree(path)
                print(f"adapterloader: removed {path.name}, which no list names", flush=True)  # noqa: T201
    _remove_abandoned(root)


def _move(aside: Path, place: Path) -> None:
    try:
        (aside / place.name).rename(place)
    except OSError:
        if not place.exists():
            raise
    shutil.rmtree(aside, ignore_errors=True)
    with contextlib.suppress(OSError):  # another adapter is fetched there
        aside.parent.rmdir()


def _remove_abandoned(root: Path) -> None:
    for folder in root.glob(f"{ASIDE}*"):
        with contextlib.suppress(FileNotFoundError):  # another fetch is done with it
            changed_at = max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
            if time.time() - changed_at > ABANDONED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
