"""Makes an engine's adapters those of the list, again and again: engines restart, lists change, hubs are away."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import aiohttp

from adapterloader.adapters import Progress, Wanted, read_list
from adapterloader.engines import Engine, EngineDown, EngineRefused
from adapterloader.options import Options

PERIOD_SECONDS = 1.0
# The first pause after a failure, and the longest: each is twice as long as the one before.
AGAIN_SECONDS, LONGEST_SECONDS = 15.0, 300.0
# A pod serves without its adapters, or without having been told of any, rather than not at all.
UNTOLD_SECONDS, UNLOADED_SECONDS = 60.0, 600.0
# Who asks again within this time may not have heard of what changed since the last answer.
FRESH_SECONDS = 3.0
# An engine that an adapter has brought down answers for some seconds still: until then no other one is loaded.
DOUBT_SECONDS = 5.0
# Once may be chance.
MOST_ENDED = 2
TIDY_SECONDS = 3600.0
LONGEST_MESSAGE = 400

Fetch = Callable[[Path, Wanted], Awaitable[Path]]
Tidy = Callable[[Path, AbstractSet[str]], Coroutine[Any, Any, None]]


class Loader:
    """The adapters of one engine.

    Args:
        fetch: brings the files of an adapter below a folder. What it raises is told.
        tidy: is told the folders that the list names, again and again and at each change.
    """

    def __init__(self, options: Options, engine: Engine, fetch: Fetch, tidy: Tidy) -> None:
        self._options = options
        self._engine = engine
        self._fetch = fetch
        self._tidy = tidy
        self._tidying: asyncio.Task[None] | None = None
        self._tidy_at = -math.inf
        self._named: AbstractSet[str] = frozenset()
        self._progress: dict[str, Progress] = {}
        self._fetching: dict[str, asyncio.Task[Path]] = {}
        """By folder: two names may have the same files."""
        self._unloading: dict[str, asyncio.Task[None]] = {}
        self._ours: set[str] = set()
        """Names that were on the list, of what the engine may have still."""
        self._doubted: Progress | None = None
        """The one at whose load something went wrong a moment ago."""
        self._doubted_at = -math.inf
        self._up_since: float | None = None
        self._is_told = False
        self._is_admitted = False
        self._told: list[dict[str, str | None]] = []
        self._told_at = -math.inf
        self._news = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        """Whether requests may come: every adapter was tried, or has had its time since the engine began to listen."""
        return self._is_admitted or self._may_be_admitted()

    def report(self) -> list[dict[str, str | None]]:
        """Every adapter of the list, and those that are on their way out, from the moment when they leave the list."""
        leaving = [
            Progress(Wanted(name, ""), state="Unloading", message="requests that it has are finished").told()
            for name in sorted((self._ours | self._unloading.keys()) - self._progress.keys())
        ]
        return [*(one.told() for one in self._progress.values()), *leaving]

    async def changed(self, seconds: float) -> None:
        """Return when the report is another one or was a moment ago, or the time is over."""
        if time.monotonic() - self._told_at < FRESH_SECONDS:
            return
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            return

    async def run(self) -> None:
        """Look and act for ever."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - a loader that ends keeps a pod from serving
                print(f"adapterloader: it looks again after {error!r}", flush=True)  # noqa: T201
            await asyncio.sleep(PERIOD_SECONDS)

    async def look(self) -> None:
        """Take in the list and what the engine has, and do what lacks."""
        wanted = read_list(self._options.list)
        if wanted is not None:
            self._take_in(wanted)
        if self._doubted and time.monotonic() - self._doubted_at > DOUBT_SECONDS:
            self._doubted.ended, self._doubted = 0, None
        try:
            loaded = await self._engine.loaded()
        except EngineDown:
            self._up_since, self._is_admitted = None, False
            self._ours &= self._progress.keys()
            self._all_anew()
            self._blame()
        except (EngineRefused, aiohttp.ClientError, TimeoutError) as error:
            # Busy, say. What it has is as it was.
            self._up_since = self._up_since or time.monotonic()
            for one in self._progress.values():
                if one.state == "Loading":
                    one.message = f"the engine does not say what it has: {_sentence(error)}"
        else:
            self._up_since = self._up_since or time.monotonic()
            self._notice_restart(loaded)
            await self._make_so(loaded)
        self._is_admitted = self.is_ready
        self._tell()

    def _take_in(self, wanted: Mapping[str, Wanted]) -> None:
        self._is_told = True
        self._ours |= wanted.keys()
        for name in self._progress.keys() - wanted.keys():
            del self._progress[name]
        for name, entry in wanted.items():
            if name not in self._progress or self._progress[name].wanted != entry:
                self._progress[name] = Progress(entry, entry.path)
        for gone in self._fetching.keys() - {entry.folder for entry in wanted.values()}:
            task = self._fetching.pop(gone)
            task.cancel()
            # Nobody asks any more how it ended.
            task.add_done_callback(lambda task: task.cancelled() or task.exception())
        self._progress = {name: self._progress[name] for name in wanted}
        # Files come while the model loads.
        for one in self._progress.values():
            self._begin_fetch(one)
        self._begin_tidying(frozenset(entry.folder for entry in wanted.values() if entry.folder))

    def _begin_fetch(self, one: Progress) -> None:
        if one.place or one.wanted.folder in self._fetching:
            return
        if one.state == "Loading" or time.monotonic() >= one.again_at:
            self._fetching[one.wanted.folder] = asyncio.create_task(self._fetched(one.wanted))

    def _begin_tidying(self, named: AbstractSet[str]) -> None:
        is_due = named != self._named or time.monotonic() >= self._tidy_at
        if is_due and (self._tidying is None or self._tidying.done()):
            self._named, self._tidy_at = named, time.monotonic() + TIDY_SECONDS
            self._tidying = asyncio.create_task(self._tidy(self._options.root, named))

    async def _fetched(self, wanted: Wanted) -> Path:
        return await self._fetch(self._options.root, wanted)

    def _all_anew(self) -> None:
        for one in self._progress.values():
            if one.state == "Loaded":
                one.state = "Loading"
            if one.ended < MOST_ENDED:
                one.again_at = 0.0
            if one.state == "Loading":
                one.message = "the engine has not begun to listen"

    def _blame(self) -> None:
        """The engine has ended: not for ever for the same adapter, without which it can serve."""
        if (one := self._doubted) is None:
            return
        self._doubted = None
        one.ended += 1
        about = "when it was to load it"
        one.state, one.message = "Loading", f"the engine ended {about}: it is tried once more, as the last"
        if one.ended >= MOST_ENDED:
            one.state, one.again_at = "Failed", math.inf
            one.message = f"the engine ended {one.ended} times {about}: give it another source or revision"
        print(f"adapterloader: {one.wanted.name}: {one.message}", flush=True)  # noqa: T201

    def _notice_restart(self, loaded: Mapping[str, str]) -> None:
        """Between two looks: then it has lost what it had."""
        for one in self._progress.values():
            if one.state == "Loaded" and one.wanted.name not in loaded:
                one.state, one.message = "Loading", "the engine has lost it"
                self._up_since, self._is_admitted = time.monotonic(), False

    async def _make_so(self, loaded: Mapping[str, str]) -> None:
        for one in sorted(self._progress.values(), key=lambda one: (one.ended, one.state == "Failed")):
            if one.state == "Failed" and time.monotonic() < one.again_at:
                continue
            if one.wanted.name in self._unloading:
                _goes_on(one, "it is unloaded first, as an earlier list wanted")
                continue
            if (path := await self._path_of(one)) is not None:
                await self._load(one, path, loaded)
        for name, path in loaded.items():
            # What a user's own arguments have loaded is not ours. A loader that was restarted knows ours by the path.
            folders = (self._options.root, self._options.given)
            is_ours = name in self._ours or any(map(Path(path).is_relative_to, folders))
            if self._is_told and is_ours and name not in self._progress and name not in self._unloading:
                self._unloading[name] = asyncio.create_task(self._unload(name))
        self._ours &= loaded.keys() | self._progress.keys()

    async def _path_of(self, one: Progress) -> str | None:
        """Where an adapter lies; None where it does not yet, or can not."""
        if one.place:
            return one.place
        task = self._fetching.get(one.wanted.folder)
        if task is None or not task.done():
            _goes_on(one, f"{one.wanted.source} is fetched")
            return None
        del self._fetching[one.wanted.folder]
        try:
            one.place = str(task.result())
        except Exception as error:  # noqa: BLE001 - one adapter that fails in whatever way holds up no other
            self._failed(one, _sentence(error))
        return one.place

    async def _load(self, one: Progress, path: str, loaded: Mapping[str, str]) -> None:
        name = one.wanted.name
        if loaded.get(name) == path:
            one.state, one.message, one.failures, one.ended = "Loaded", "", 0, 0
            return
        if self._doubted is not None:
            return
        _goes_on(one, "the engine loads it")
        self._tell()
        try:
            await self._engine.load(name, path, replaces=loaded.get(name))
        except EngineDown:
            one.message = "the engine does not listen any more"
        except (EngineRefused, aiohttp.ClientError, TimeoutError) as error:
            is_said = isinstance(error, EngineRefused)
            self._failed(one, _sentence(error) if is_said else f"the engine breaks off: {_sentence(error)}")
            self._doubted, self._doubted_at = one, time.monotonic()
        else:
            one.state, one.message, one.failures, one.ended = "Loaded", "", 0, 0
            print(f"adapterloader: {name} is loaded from {path}", flush=True)  # noqa: T201

    def _failed(self, one: Progress, message: str) -> None:
        one.state, one.message = "Failed", message[:LONGEST_MESSAGE]
        # What is there may be what is wrong: it is looked at again.
        one.place = one.wanted.path
        one.again_at = time.monotonic() + min(AGAIN_SECONDS * 2**one.failures, LONGEST_SECONDS)
        one.failures = min(one.failures + 1, 16)
        print(f"adapterloader: {one.wanted.name} is not loaded: {message}", flush=True)  # noqa: T201

    async def _unload(self, name: str) -> None:
        try:
            await self._engine.unload(name)
            self._ours.discard(name)
            print(f"adapterloader: {name} is unloaded", flush=True)  # noqa: T201
        except (EngineRefused, EngineDown, aiohttp.ClientError, TimeoutError) as error:
            print(f"adapterloader: {name} is not unloaded: {error}", flush=True)  # noqa: T201
            await asyncio.sleep(AGAIN_SECONDS)
        finally:
            self._unloading.pop(name, None)
            self._tell()

    def _may_be_admitted(self) -> bool:
        if self._up_since is None:
            return False
        up = time.monotonic() - self._up_since
        if not self._is_told:
            return up > UNTOLD_SECONDS
        return up > UNLOADED_SECONDS or all(one.state != "Loading" for one in self._progress.values())

    def _tell(self) -> None:
        if (told := self.report()) != self._told:
            self._told, self._told_at = told, time.monotonic()
            self._news.set()
            self._news = asyncio.Event()


def _sentence(error: Exception) -> str:
    return (str(error) or repr(error))[:LONGEST_MESSAGE]


def _goes_on(one: Progress, message: str) -> None:
    """One that failed stays so while it is tried again."""
    if one.state != "Failed":
        one.state, one.message = "Loading", message
