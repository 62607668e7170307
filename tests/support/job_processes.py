"""What a pod of a Job runs, as a process of its own, which can be killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from localcluster.paths import ROOT
from support.prometheus import free_port


@dataclass(frozen=True)
class JobProcess:
    """One of the operator's packages that has a port to ask how far it is, and ends with a last word."""

    process: subprocess.Popen[bytes]
    log: Path
    termination_log: Path
    url: str

    @classmethod
    @contextmanager
    def running(
        cls, log: Path, termination_log: Path, environment: Mapping[str, str], package: str, *arguments: str
    ) -> Iterator[Self]:
        """One, until the block ends; it may have ended before."""
        port = free_port()
        termination_log.write_text("")
        command = [
            sys.executable, "-m", package, "run", *arguments, f"--control-port={port}", "--host=127.0.0.1",
            f"--termination-log={termination_log}",
        ]  # fmt: skip
        variables = {**os.environ, "PYTHONPATH": str(ROOT / "operator"), **environment}
        with log.open("ab") as out:
            process = subprocess.Popen(command, env=variables, stdout=out, stderr=out)
        try:
            yield cls(process, log, termination_log, f"http://127.0.0.1:{port}")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self, timeout: float = 60.0) -> int:
        """Its exit status."""
        return self.process.wait(timeout)

    @property
    def last_word(self) -> str:
        return self.termination_log.read_text()

    def progress(self) -> dict[str, Any] | None:
        """What its port says; None where it does not answer."""
        try:
            said: dict[str, Any] = httpx.get(f"{self.url}/progress", timeout=10.0).json()
        except httpx.TransportError:
            return None
        return said
