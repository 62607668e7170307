"""The operator as processes of this machine."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from llmendpoint.settings import Settings
from localcluster.paths import ROOT
from support.kube import eventually
from support.prometheus import free_port


@dataclass(frozen=True)
class OperatorProcess:
    """One that runs, or has run."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str

    def answers(self, path: str) -> bool:
        """Whether a probe is answered well."""
        try:
            return httpx.get(f"{self.url}{path}").is_success
        except httpx.TransportError:
            return False

    @property
    def leads(self) -> bool:
        """What its metrics say."""
        try:
            return self.metric("llmendpoint_leader") == 1
        except httpx.TransportError:
            return False

    def metric(self, series: str) -> float:
        """One number of its metrics."""
        text = httpx.get(f"{self.url}/metrics", timeout=30).text
        found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
        assert found, f"{series} is not among the operator's metrics"
        return float(found[1])

    def await_ready(self) -> None:
        eventually(lambda: self.process.poll() is not None or self.answers("/readyz"), 60)
        assert self.process.poll() is None, self.log.read_text()[-3000:]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It does nothing until the block ends."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)


@contextmanager
def started_operator(kubeconfig: Path, log: Path, **environment: str) -> Iterator[OperatorProcess]:
    """An operator that has just been started, until the block ends; it may have ended before.

    Args:
        environment: its settings, LLMENDPOINT_* without the prefix, and other variables by their own names.
    """
    port = free_port()
    settings = {
        f"LLMENDPOINT_{name}" if name.lower() in Settings.model_fields else name: value
        for name, value in environment.items()
    }
    full = {
        **os.environ,
        "KUBECONFIG": str(kubeconfig),
        "PYTHONPATH": str(ROOT / "operator"),
        "LLMENDPOINT_HTTP_PORT": str(port),
        "LLMENDPOINT_TICK_SECONDS": "1",
        "LLMENDPOINT_RESYNC_SECONDS": "5",
        **settings,
    }
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "llmendpoint"], env=full, stdout=out, stderr=out)
    operator = OperatorProcess(process, log, f"http://127.0.0.1:{port}")
    try:
        yield operator
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            assert process.wait(20) == 0, log.read_text()[-3000:]
    assert "Traceback" not in log.read_text(), log.read_text()[-3000:]
