"""One run: every download that is not whole is made so, one after the other, and how far it is can be asked."""

import asyncio
import errno
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from modelfetch.bucket import Bucket
from modelfetch.folder import ModelFolder, remove_others
from modelfetch.hub import Hub
from modelfetch.options import Download, Options
from modelfetch.origin import File, Origin, Refused, Unavailable

FILES_AT_ONCE = 8
WINDOW_SECONDS = 30.0
GIB = 1 << 30
Said = dict[str, int | float | None]
"""A report as /progress and the termination message say it."""


def origin_of(download: Download) -> Origin:
    """Where a download comes from.

    Raises:
        Refused: it is no address of one.
    """
    scheme, _, rest = download.source.partition("://")
    root, _, path = rest.partition("/")
    if scheme == "hf" and rest:
        return Hub(rest, download.revision)
    if scheme == "s3" and root:
        return Bucket(root, path.strip("/"))
    raise Refused(f"{download.source!r} is neither hf://OWNER/NAME nor s3://BUCKET/PREFIX")


class Pace:
    """Bytes per second over the last half minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def per_second(self, done: int) -> float:
        """The pace, given how many bytes there are now."""
        now = self._clock()
        self._seen.append((now, done))
        while now - self._seen[0][0] > WINDOW_SECONDS:
            self._seen.popleft()
        began, first = self._seen[0]
        return max(done - first, 0) / (now - began) if now > began else 0.0


class Fetcher:
    """Fetches what the options say."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._folders = [ModelFolder(options.root, download) for download in options.downloads]
        self._listed: list[Sequence[File]] = []
        self._is_listed = False
        self._pace = Pace()

    @property
    def report(self) -> Said:
        """How far it is."""
        files = [file for some in self._listed for file in some]
        total = sum(file.size for file in files)
        size = sum(folder.size for folder in self._folders)
        return {
            "bytesDone": min(size, total) if self._is_listed else size,
            "bytesTotal": total if self._is_listed else None,
            "filesDone": sum(len(folder.files) for folder in self._folders),
            "filesTotal": len(files) if self._is_listed else None,
            "bytesPerSecond": round(self._pace.per_second(size)),
        }

    async def run(self) -> None:
        """Fetch until all is there.

        Raises:
            Refused: it can not be, however often it is tried.
            Unavailable: it may be, the next time.
        """
        root = self._options.root
        try:
            root.mkdir(parents=True, exist_ok=True)
            names = {download.folder for download in self._options.downloads}
            if gone := await asyncio.to_thread(remove_others, root, names | self._options.keep):
                print(f"modelfetch: removed what nobody loads: {', '.join(gone)}", flush=True)  # noqa: T201
            missing = [await self._look(*pair) for pair in zip(self._folders, self._options.downloads, strict=True)]
            self._is_listed = True
            _check_room(root, sum(file.size for _, files in missing for file in files))
            for (origin, files), folder in zip(missing, self._folders, strict=True):
                if origin is not None:
                    await _fetch_all(origin, files, folder)
        except PermissionError as error:
            raise Refused(
                f"{root} can not be written: look at user and group of the claim, and set fsGroup or runAsUser in "
                f"engine.podTemplate.spec.securityContext ({error})"
            ) from error
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise Unavailable(f"no space is left on the claim: raise model.cache.size ({error})") from error
            raise Unavailable(f"{root} can not be written ({error})") from error

    async def _look(self, folder: ModelFolder, download: Download) -> tuple[Origin | None, Sequence[File]]:
        """The origin of a download that is not whole, and what is missing; no origin is asked for one that is."""
        if folder.is_whole():
            self._listed.append(folder.files)
            print(f"modelfetch: {download.source} is there: {folder.whole}", flush=True)  # noqa: T201
            return None, ()
        origin = origin_of(download)
        files = await origin.files()
        if download.needs and all(file.name != download.needs for file in files):
            raise Refused(f"{download.source} has no {download.needs}: correct the source")
        self._listed.append(files)
        missing = folder.begin(files)
        about = f"{len(missing)} of {len(files)} files, {sum(file.size for file in missing)} bytes"
        print(f"modelfetch: {download.source}: {about} to fetch", flush=True)  # noqa: T201
        return origin, missing


async def _fetch_all(origin: Origin, files: Sequence[File], folder: ModelFolder) -> None:
    turns, writing = asyncio.Semaphore(FILES_AT_ONCE), asyncio.Lock()

    async def one(file: File) -> None:
        async with turns:
            await origin.fetch(file, folder.partial)
            try:
                async with writing:
                    # Gigabytes may still be on their way to the disk, and the kubelet asks whether this one hangs.
                    await asyncio.to_thread(folder.add, file)
            except ValueError as error:
                raise Unavailable(str(error)) from error

    try:
        async with asyncio.TaskGroup() as tasks:
            # Large ones first: they take longest.
            for file in sorted(files, key=lambda file: -file.size):
                tasks.create_task(one(file))
    except ExceptionGroup as group:
        # The first one has ended all others.
        raise group.exceptions[0] from group
    folder.finish()


def _check_room(root: Path, needed: int) -> None:
    """Before hours are spent."""
    free = shutil.disk_usage(root).free
    if needed > free:
        wanted, room = needed / GIB, free / GIB
        raise OSError(errno.ENOSPC, f"{wanted:.1f} GiB are to be fetched and {room:.1f} GiB are free", os.fspath(root))
