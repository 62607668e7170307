"""Parts of a control plane that are stopped, killed and started again: processes of this machine."""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from localcluster.controlplane import ControlPlane
from support.kube import eventually


class Component:
    """One process of a control plane, for example ``etcd`` or ``kube-apiserver``."""

    def __init__(self, control_plane: ControlPlane, name: str) -> None:
        self._pid_file = control_plane.pid_file(name)
        self._process = Path("/proc") / self._pid_file.read_text().strip()

    @property
    def command(self) -> list[str]:
        return (self._process / "cmdline").read_text().rstrip("\0").split("\0")

    @property
    def runs(self) -> bool:
        return self._process.exists()

    def argument(self, name: str) -> str:
        """The value of one of its arguments."""
        return next(value for value in self.command if value.startswith(f"--{name}=")).partition("=")[2]

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It takes connections and answers nothing, as a machine without a processor to spare."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    @contextmanager
    def killed(self) -> Iterator[None]:
        """It is not there until the block ends; then it is started as it was."""
        command, folder = self.command, (self._process / "cwd").readlink()
        log = (self._process / "fd" / "1").readlink()
        self._signal(signal.SIGKILL)
        eventually(lambda: not self._process.exists())
        try:
            with _kept(command):
                yield
        finally:
            # Its parent ends at once, so that it is nobody's child, as it was. The control plane is ended by pids, and
            # kwokctl takes a file with a line's end for that of a process that has ended.
            script = 'log=$1 pid=$2; shift 2; "$@" >>"$log" 2>&1 & printf %s $! >"$pid"'
            subprocess.run(
                ["setsid", "sh", "-c", script, "sh", str(log), str(self._pid_file), *command], cwd=folder, check=True
            )
            self._process = Path("/proc") / self._pid_file.read_text().strip()

    def _signal(self, number: signal.Signals) -> None:
        os.kill(int(self._process.name), number)


@contextmanager
def _kept(command: Sequence[str]) -> Iterator[None]:
    """Nobody listens on the ports of a process that is not there, and no other cluster of this machine takes them."""
    with ExitStack() as held:
        for port in re.findall(r"--(?:secure-port|listen-\w+-urls)=(?:http://127\.0\.0\.1:)?(\d+)", " ".join(command)):
            holder = held.enter_context(socket.socket())
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", int(port)))
        yield
