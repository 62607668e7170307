"""Makes an engine's adapters those of the list, again and again: engines restart, lists change, hubs are away."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import aiohttp

from adapterloader.adapters import Progress, Wanted, read_list
from adapterloader.engines import Engine, EngineDown, EngineRefused
from adapterloader.options import Options

PERIOD_SECONDS = 1.0
# The first pause after a failure, and the longest: each is twice as long as the one before.
AGAIN_SECONDS, LONGEST_SECONDS = 15.0, 300.0
# A pod serves without its adapters, or without having been told of any, rather than not at all.
UNTOLD_SECONDS, UNLOADED_SECONDS = 60.0, 600.0

Fetch = Callable[[Path, Wanted], Awaitable[Path]]


class Loader:
    """The adapters of one engine.

    Args:
        fetch: brings the files of an adapter below a folder. What it raises is told.
    """

    def __init__(self, options: Options, engine: Engine, fetch: Fetch) -> None:
        self._options = options
        self._engine = engine
        self._fetch = fetch
        self._progress: dict[str, Progress] = {}
        self._fetching: dict[Wanted, asyncio.Task[Path]] = {}
        self._unloading: dict[str, asyncio.Task[None]] = {}
        self._up_since: float | None = None
        self._is_told = False
        self._is_admitted = False
        self._told: list[dict[str, str | None]] = []
        self._news = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        """Whether requests may come: every adapter was tried since the engine has begun to listen."""
        return self._is_admitted

    def report(self) -> list[dict[str, str | None]]:
        """Every adapter of the list, and those that are on their way out."""
        leaving = [
            Progress(Wanted(name, ""), "Unloading", "requests that it has are finished").told()
            for name in self._unloading
            if name not in self._progress
        ]
        return [*(one.told() for one in self._progress.values()), *leaving]

    async def changed(self, seconds: float) -> None:
        """Return when the report is another one, or the time is over."""
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            return

    async def run(self) -> None:
        """Look and act for ever."""
        while True:
            await self.look()
            await asyncio.sleep(PERIOD_SECONDS)

    async def look(self) -> None:
        """Take in the list and what the engine has, and do what lacks."""
        wanted = read_list(self._options.list)
        if wanted is not None:
            self._take_in(wanted)
        try:
            loaded = await self._engine.loaded()
        except EngineDown:
            self._up_since, self._is_admitted = None, False
            self._all_anew()
        except (EngineRefused, aiohttp.ClientError, TimeoutError) as error:
            # Busy, say. What it has is as it was.
            for one in self._progress.values():
                one.message = one.message or str(error)
        else:
            self._up_since = self._up_since or time.monotonic()
            if any(one.state == "Loaded" and one.wanted.name not in loaded for one in self._progress.values()):
                self._is_admitted = False  # it was restarted between two looks
            await self._make_so(loaded)
            self._is_admitted = self._is_admitted or self._may_be_admitted()
        self._tell()

    def _take_in(self, wanted: Mapping[str, Wanted]) -> None:
        self._is_told = True
        for name in self._progress.keys() - wanted.keys():
            del self._progress[name]
        for name, entry in wanted.items():
            if name not in self._progress or self._progress[name].wanted != entry:
                self._progress[name] = Progress(entry)
        for gone in self._fetching.keys() - set(wanted.values()):
            self._fetching.pop(gone).cancel()
        self._progress = {name: self._progress[name] for name in wanted}
        # Files come while the model loads.
        for one in self._progress.values():
            self._begin_fetch(one)

    def _begin_fetch(self, one: Progress) -> None:
        if one.wanted.path or one.wanted in self._fetching or one.state == "Loaded":
            return
        if one.state == "Loading" or time.monotonic() >= one.again_at:
            self._fetching[one.wanted] = asyncio.create_task(self._fetched(one.wanted))

    async def _fetched(self, wanted: Wanted) -> Path:
        return await self._fetch(self._options.root, wanted)

    def _all_anew(self) -> None:
        for one in self._progress.values():
            if one.state == "Loaded":
                one.state = "Loading"
            one.again_at = 0.0
            if one.state == "Loading":
                one.message = "the engine has not begun to listen"

    async def _make_so(self, loaded: Mapping[str, str]) -> None:
        for one in list(self._progress.values()):
            if one.state == "Failed" and time.monotonic() < one.again_at:
                continue
            if (path := await self._path_of(one)) is not None:
                await self._load(one, path, loaded)
        for name, path in loaded.items():
            # What a user's own arguments have loaded is not ours.
            is_ours = Path(path).is_relative_to(self._options.root) or Path(path).is_relative_to(self._options.given)
            if self._is_told and is_ours and name not in self._progress and name not in self._unloading:
                self._unloading[name] = asyncio.create_task(self._unload(name))

    async def _path_of(self, one: Progress) -> str | None:
        """Where an adapter lies; None where it does not yet, or can not."""
        if one.wanted.path:
            return one.wanted.path
        task = self._fetching.get(one.wanted)
        if task is None and one.state == "Loaded":
            return str(self._options.root / one.wanted.folder)
        if task is None or not task.done():
            _goes_on(one, f"{one.wanted.source} is fetched")
            return None
        del self._fetching[one.wanted]
        try:
            return str(task.result())
        except Exception as error:  # noqa: BLE001 - one adapter that fails in whatever way holds up no other
            self._failed(one, str(error) or repr(error))
            return None

    async def _load(self, one: Progress, path: str, loaded: Mapping[str, str]) -> None:
        name = one.wanted.name
        if loaded.get(name) == path:
            one.state, one.message, one.failures = "Loaded", "", 0
            return
        _goes_on(one, "the engine loads it")
        self._tell()
        try:
            await self._engine.load(name, path, replaces=name in loaded)
        except EngineRefused as error:
            self._failed(one, str(error))
        except (EngineDown, aiohttp.ClientError, TimeoutError) as error:
            one.message = f"the engine breaks off: {error or repr(error)}"
        else:
            one.state, one.message, one.failures = "Loaded", "", 0
            print(f"adapterloader: {name} is loaded from {path}", flush=True)  # noqa: T201

    def _failed(self, one: Progress, message: str) -> None:
        one.state, one.message = "Failed", message
        one.again_at = time.monotonic() + min(AGAIN_SECONDS * 2**one.failures, LONGEST_SECONDS)
        one.failures = min(one.failures + 1, 16)
        print(f"adapterloader: {one.wanted.name} is not loaded: {message}", flush=True)  # noqa: T201

    async def _unload(self, name: str) -> None:
        try:
            await self._engine.unload(name)
            print(f"adapterloader: {name} is unloaded", flush=True)  # noqa: T201
        except (EngineRefused, EngineDown, aiohttp.ClientError, TimeoutError) as error:
            print(f"adapterloader: {name} is not unloaded: {error}", flush=True)  # noqa: T201
            await asyncio.sleep(AGAIN_SECONDS)
        finally:
            self._unloading.pop(name, None)
            self._tell()

    def _may_be_admitted(self) -> bool:
        up = time.monotonic() - (self._up_since or time.monotonic())
        if not self._is_told:
            return up > UNTOLD_SECONDS
        return up > UNLOADED_SECONDS or all(one.state != "Loading" for one in self._progress.values())

    def _tell(self) -> None:
        if (told := self.report()) != self._told:
            self._told = told
            self._news.set()
            self._news = asyncio.Event()


def _goes_on(one: Progress, message: str) -> None:
    """One that failed stays so while it is tried again."""
    if one.state != "Failed":
        one.state, one.message = "Loading", message
