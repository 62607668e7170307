"""One run of the benchmark: its options, and the cluster that its measurements share."""

import contextlib
from collections.abc import AsyncIterator

from bench.options import Options
from bench.site import Site


class Run:
    """What a measurement gets."""

    def __init__(self, options: Options, stack: contextlib.AsyncExitStack) -> None:
        self.options = options
        self._stack = stack
        self._site: Site | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def begun(cls, options: Options) -> AsyncIterator["Run"]:
        """A run; the cluster goes with the block."""
        async with contextlib.AsyncExitStack() as stack:
            yield cls(options, stack)

    async def site(self) -> Site:
        """The cluster, started when first asked for.

        Raises:
            Skipped: there can be none on this machine.
        """
        if self._site is None:
            self._site = await self._stack.enter_async_context(Site.opened(self.options))
        return self._site
