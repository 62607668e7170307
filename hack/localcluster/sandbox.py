"""A network and mount namespace for one cluster: what is made in it is gone with its last process.

Interfaces, iptables chains and mounts of the node never touch the machine's own, so several clusters run side by
side, and an interrupted start leaves nothing that the next one could trip over.
"""

import contextlib
import hashlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localcluster.commands import run
from localcluster.errors import LocalClusterError

CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Sandbox:
    """The namespaces of one cluster, held by an anchor process, and its control group."""

    name: str
    directory: Path

    @property
    def cgroup(self) -> str:
        """Name of the control group that all pods of the cluster are in."""
        return f"llmendpoint-{self.name}"

    @property
    def _number(self) -> int:
        return int(hashlib.sha256(self.name.encode()).hexdigest(), 16)

    @property
    def host_address(self) -> str:
        """The machine's address as the node sees it."""
        return f"10.{200 + self._number % 50}.{self._number // 50 % 250}.1"

    @property
    def node_address(self) -> str:
        """The node's address as the machine sees it."""
        return f"{self.host_address.rpartition('.')[0]}.2"

    @property
    def link(self) -> str:
        """The machine's end of the link to the node."""
        return f"llme{self._number % 16**8:08x}"

    @property
    def anchor(self) -> int | None:
        """Process that holds the namespaces, where it lives."""
        try:
            pid, _, started = (self.directory / "anchor").read_text().partition(" ")
        except FileNotFoundError:
            return None
        return int(pid) if _start_time(int(pid)) == started else None

    def create(self) -> None:
        """Make the namespaces, the link to them and the control groups."""
        self.directory.mkdir(parents=True, exist_ok=True)
        anchor = start(["unshare", "--net", "--mount", "--propagation", "private", "sleep", "infinity"])
        # Written aside and moved: a start that is killed meanwhile leaves no half of it.
        aside = self.directory / "anchor.new"
        aside.write_text(f"{anchor} {_start_time(anchor)}")
        aside.rename(self.directory / "anchor")
        self._wait_for_namespace(anchor)
        prefix = f"{self.host_address}/30", f"{self.node_address}/30"
        run(["ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", str(anchor)])
        run(["ip", "addr", "add", prefix[0], "dev", self.link])
        run(["ip", "link", "set", self.link, "up"])
        self.run(["mount", "--make-rshared", "/"])
        self.run(["ip", "link", "set", "lo", "up"])
        self.run(["ip", "addr", "add", prefix[1], "dev", "eth0"])
        self.run(["ip", "link", "set", "eth0", "up"])
        self.run(["ip", "route", "add", "default", "via", self.host_address])
        self.run(["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])
        for group in self._cgroups():
            group.mkdir(exist_ok=True)

    def command(self, command: Sequence[str]) -> list[str]:
        """The command line that runs a command inside."""
        anchor = self.anchor
        if anchor is None:
            raise LocalClusterError(f"cluster {self.name} is not running")
        return ["nsenter", "--target", str(anchor), "--net", "--mount", f"--wd={Path.cwd()}", *command]

    def run(self, command: Sequence[str]) -> str:
        """Run a command inside; its output."""
        return run(self.command(command)).stdout

    def destroy(self) -> None:
        """End every process inside and in the pods. The namespaces, with all that is in them, go with the last."""
        anchor = self.anchor
        for number, seconds in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 10.0)):
            end = time.monotonic() + seconds
            # The anchor goes last: without it nobody knows which processes are inside.
            while (pids := self._processes() - {anchor}) and time.monotonic() < end:
                for pid in pids:
                    _kill(pid, number)
                time.sleep(0.1)
        if anchor is not None:
            _kill(anchor, signal.SIGKILL)
        for group in self._cgroups():
            # Bottom up; a group that vanishes meanwhile is what is wanted.
            for folder, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
        run(["ip", "link", "del", self.link], check=False)
        (self.directory / "anchor").unlink(missing_ok=True)

    def _processes(self) -> set[int]:
        """Processes in the network namespace and in the pods' control groups."""
        inside: set[int] = set()
        anchor = self.anchor
        namespace = None if anchor is None else _namespace(anchor)
        # An anchor whose start was interrupted may be in the machine's own still, with all that runs there.
        if namespace not in {_namespace(os.getpid()), None}:
            inside = {
                int(entry.name)
                for entry in Path("/proc").iterdir()
                if entry.name.isdigit() and _namespace(int(entry.name)) == namespace
            }
        for group in self._cgroups():
            for folder, _, _ in os.walk(group):
                with contextlib.suppress(OSError):
                    inside.update(int(line) for line in (Path(folder) / "cgroup.procs").read_text().split())
        return inside

    def _cgroups(self) -> list[Path]:
        """The group in each hierarchy: one under version 2, one per controller under version 1."""
        if (CGROUPS / "cgroup.controllers").exists():
            return [CGROUPS / self.cgroup]
        return [path / self.cgroup for path in CGROUPS.iterdir() if path.is_dir() and not path.is_symlink()]

    def _wait_for_namespace(self, pid: int) -> None:
        own = _namespace(os.getpid())
        for _ in range(100):
            if _namespace(pid) not in {own, None}:
                return
            time.sleep(0.02)
        raise LocalClusterError("no network namespace could be made: this needs root on Linux")


def start(command: Sequence[str], *, log: Path | None = None, environment: Mapping[str, str] | None = None) -> int:
    """Start a process that outlives this one; its number."""
    with (log or Path(os.devnull)).open("ab") as out, Path(os.devnull).open("rb") as nothing:
        # Not by subprocess: it warns of a child that outlives its handle, and these are meant to.
        return os.posix_spawnp(
            command[0],
            list(command),
            os.environ if environment is None else environment,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, nothing.fileno(), 0),
                (os.POSIX_SPAWN_DUP2, out.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, out.fileno(), 2),
            ],
            setsid=True,
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores them, which a child would inherit
        )


def _kill(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _namespace(pid: int) -> str | None:
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return None


def _start_time(pid: int) -> str | None:
    """When a process started, so that a reused number is not taken for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None
