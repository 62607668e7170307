"""One shard from its first line to its last: lines are read, asked, and what became of them is written."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from batchworker import collation, log
from batchworker.asking import record_of
from batchworker.chunks import Batch
from batchworker.ledger import Ledger
from batchworker.lines import Line, Span, lines, span_of
from batchworker.log import Log
from batchworker.options import Options
from batchworker.places import BadInput, Folder, file_at, folder_at
from batchworker.progress import Counts, Pace, Report, Said
from engineclient import EngineClient

READY_SECONDS = 2.0


class Worker:
    """Works one shard off.

    Args:
        stop: when it is set no more lines are begun, and those that are with the engine get the grace time.
    """

    def __init__(self, options: Options, stop: asyncio.Event) -> None:
        self._options = options
        self._stop = stop
        self._pace = Pace()
        self._log: Log | None = None
        self._finished: Said | None = None

    @property
    def report(self) -> Said:
        """How far the shard is, as /progress says it."""
        if self._finished is not None:
            return self._finished
        if self._log is None:
            return Report(None, Counts(), 0, 0.0).said
        return Report(self._log.lines, self._log.counts, self._log.resumed, self._pace.per_second).said

    async def run(self) -> bool:
        """Work until the shard is done. False where it was stopped before.

        Raises:
            BadInput: it can not be done, however often it is tried.
        """
        source, name, batch = await self._input()
        folder = folder_at(self._options.output)
        said = await collation.report_of(folder, batch, self._options.shard)
        if said is None:
            said = await self._work_to_the_end(source, name, folder, batch)
            if said is None:
                return False
        self._finished = said
        if await collation.collate(folder, batch):
            print(f"batchworker: every shard is done: see {folder.uri}", flush=True)  # noqa: T201
        return True

    async def _input(self) -> tuple[Folder, str, Batch]:
        source, name = file_at(self._options.input)
        about = await source.about(name)
        if about is None:
            raise BadInput(f"{self._options.input}: there is no such file; look at the path and the claim or bucket")
        if not about.size:
            raise BadInput(f"{self._options.input} is empty: put lines of OpenAI's batch format into it")
        told = self._options
        return source, name, Batch(told.input, about.size, about.modified.isoformat(), told.shards, told.model)

    async def _work_to_the_end(self, source: Folder, name: str, folder: Folder, batch: Batch) -> Said | None:
        """What the shard's mark says; None where the worker was stopped before."""
        try:
            kept = await self._work(source, name, folder, batch)
        except BadInput:
            # Where a rival was faster, what this one looked for is put together and gone.
            said = await collation.report_of(folder, batch, self._options.shard)
            if said is None:
                raise
            return said
        if kept is None:
            return None
        said = self.report
        await collation.leave_mark(folder, batch, self._options.shard, kept.number, said)
        return said

    async def _work(self, source: Folder, name: str, folder: Folder, batch: Batch) -> Log | None:
        """Ask every line that is not done. The log, if every one is."""
        span = span_of(self._options.shard, self._options.shards, batch.size)

        async def read(start: int, stop: int) -> bytes:
            return await source.read_range(name, start, stop)

        async def count() -> int:
            counted = 0
            async for _ in lines(read, batch.size, span):
                counted += 1
            return counted

        kept = self._log = await log.opened(folder, self._options.shard, batch, span.start, count)
        about = f"{kept.lines} lines, {kept.resumed} of them done"
        print(f"batchworker: shard {self._options.shard} of {self._options.shards}: {about}", flush=True)  # noqa: T201
        feed = Feed(lines(read, batch.size, Span(kept.ledger.mark.first, span.stop)), kept.ledger, self._stop)
        async with EngineClient(
            self._options.engine_url,
            health_path=self._options.health_path,
            api_key=self._options.api_key,
            concurrency=self._options.concurrency,
            timeout=self._options.timeout,
        ) as engine:
            if await self._is_ready(engine):
                await self._ask_all(feed, engine, kept)
        return kept if feed.exhausted and not kept.ledger.mark.open else None

    async def _is_ready(self, engine: EngineClient) -> bool:
        """Wait for the engine. False where the worker was stopped before."""
        while not self._stop.is_set():
            if await engine.is_ready():
                return True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(READY_SECONDS):
                    await self._stop.wait()
        return False

    async def _ask_all(self, feed: "Feed", engine: EngineClient, kept: Log) -> None:
        async def ask() -> None:
            while (line := await feed.next()) is not None:
                if kept.add(await record_of(line, engine, self._options)):
                    self._pace.count()
                await kept.room()

        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(kept.keep_writing())
                asking = [tasks.create_task(ask()) for _ in range(self._options.concurrency)]
                patience = tasks.create_task(self._cut_after_grace(asking))
                await asyncio.wait(asking)
                patience.cancel()
                kept.close()
        except ExceptionGroup as group:
            # The first one has ended all others.
            raise group.exceptions[0] from group

    async def _cut_after_grace(self, asking: Sequence[asyncio.Task[None]]) -> None:
        await self._stop.wait()
        await asyncio.sleep(self._options.grace)
        for task in asking:
            task.cancel()


class Feed:
    """The lines that are still to be asked, for many who take them."""

    def __init__(self, wanted: AsyncIterator[Line], ledger: Ledger, stop: asyncio.Event) -> None:
        self.exhausted = False
        self._wanted, self._ledger, self._stop = wanted, ledger, stop
        self._one_reads = asyncio.Lock()

    async def next(self) -> Line | None:
        """The next one, which is begun with this. None where there is none, or no more are wanted."""
        async with self._one_reads:
            if self.exhausted or self._stop.is_set():
                return None
            async for line in self._wanted:
                if self._ledger.begin(line.start, line.end):
                    return line
            self.exhausted = True
            return None
