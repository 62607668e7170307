"""Processes beside the benchmark, and what they use."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from localcluster.errors import LocalClusterError

STOP_SECONDS = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """A program that runs beside."""

    child: asyncio.subprocess.Process
    log: Path

    @property
    def cpu_seconds(self) -> float:
        """Processor time that it has used, its threads included."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @property
    def resident_mib(self) -> float:
        """Memory that it holds (VmRSS)."""
        lines = Path(f"/proc/{self.child.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024

    def check(self) -> None:
        """See that it still runs.

        Raises:
            LocalClusterError: it has ended; the message has its last lines.
        """
        if self.child.returncode is not None:
            raise LocalClusterError(f"{self.log.stem} has ended: {self.log.read_text()[-2000:]}")


@contextlib.asynccontextmanager
async def running(command: Sequence[str], log: Path, **environment: str) -> AsyncIterator[Process]:
    """A program, until the block ends."""
    with log.open("ab") as out:
        child = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **environment}, stdout=out, stderr=out
        )
    try:
        yield Process(child, log)
    finally:
        if child.returncode is None:
            child.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()
