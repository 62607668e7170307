"""The files of adapters: fetched once to the volume, beside the weights, for all replicas that have it."""

import asyncio
import contextlib
import shutil
import socket
import time
from pathlib import Path

from adapterloader.adapters import Wanted
from modelfetch.fetcher import Fetcher
from modelfetch.folder import ModelFolder
from modelfetch.options import Download, Options

ASIDE = ".fetching-"
# A replica that ended in a fetch left its folder, and none of the same name comes to go on.
ABANDONED_SECONDS = 24 * 3600.0
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
        await asyncio.to_thread(_remove_abandoned, root)
        await Fetcher(Options(root=aside, downloads=(download,), control_port=0)).run()
        await asyncio.to_thread(_move, aside, place)
    return place


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
