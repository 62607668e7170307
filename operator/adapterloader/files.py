"""The files of adapters: fetched once to the volume, beside the weights, for all replicas that have it."""

import shutil
import socket
from pathlib import Path

from adapterloader.adapters import Wanted
from modelfetch.fetcher import Fetcher
from modelfetch.folder import ModelFolder
from modelfetch.options import Download, Options

ASIDE = ".fetching-"


async def fetched(root: Path, wanted: Wanted) -> Path:
    """The folder of an adapter, which is whole. What another replica has fetched is not fetched again.

    Raises:
        modelfetch.origin.Refused: it can not be fetched, however often it is tried.
        modelfetch.origin.Unavailable: it may be, the next time.
    """
    download = Download(wanted.source, wanted.folder, wanted.revision)
    place = root / wanted.folder
    if place.exists() and ModelFolder(root, download).is_whole():
        return place
    # Replicas that have the volume together may fetch at the same time: each in a folder of its own.
    aside = root / f"{ASIDE}{socket.gethostname()}" / wanted.folder
    await Fetcher(Options(root=aside, downloads=(download,), control_port=0)).run()
    try:
        (aside / wanted.folder).rename(place)
    except OSError:
        if not place.exists():
            raise
    shutil.rmtree(aside, ignore_errors=True)
    return place
