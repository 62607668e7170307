"""Programs that come from the distribution: container runtime, CNI plugins, packet filter, image builder and so on."""

import os
import shutil
import tempfile
from pathlib import Path

from localcluster.commands import run
from localcluster.errors import LocalClusterError
from localcluster.paths import cache_dir

CNI_PLUGINS = Path("/usr/lib/cni")
_NODE = {"runc": "runc", "iptables": "iptables", "conntrack": "conntrack", "ip": "iproute2", "nsenter": "util-linux"}
_BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
_IMAGES = {"buildah": "buildah", "debootstrap": "debootstrap"}


def ensure(*, images: bool) -> None:
    """Install what a node needs, and what building images needs.

    Raises:
        LocalClusterError: something is missing and this is not Debian, or apt-get failed.
    """
    wanted = _NODE | (_IMAGES if images else {})
    missing = {package for program, package in wanted.items() if not _found(program)}
    if not (CNI_PLUGINS / "bridge").exists():
        missing.add("containernetworking-plugins")
    if missing:
        _install(sorted(missing))


def browser() -> str:
    """Path of a Chromium that needs no screen: the machine's own, else Debian's, installed.

    Raises:
        LocalClusterError: there is none, and this is not Debian or apt-get failed.
    """
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        _install([_BROWSERS[0]])
        found = f"/usr/bin/{_BROWSERS[0]}"
    return found


def prometheus() -> str:
    """Path of a Prometheus server: the machine's own, else Debian's, unpacked into the cache.

    It is not installed, because the package would start a server, now and at each boot.

    Raises:
        LocalClusterError: there is none, and this is not Debian or apt-get failed.
    """
    if found := shutil.which("prometheus"):
        return found
    directory = cache_dir() / "prometheus"
    program = directory / "usr" / "bin" / "prometheus"
    if program.exists():
        return str(program)
    if not shutil.which("apt-get"):
        raise LocalClusterError("missing on this machine: prometheus; install it and try again")
    print("fetching prometheus ...", flush=True)
    cache_dir().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir()) as aside:
        if os.geteuid() == 0:
            run(["apt-get", "update", "-q"])
        run(["apt-get", "download", "-q", "prometheus"], cwd=Path(aside))
        unpacked = Path(aside) / "prometheus"
        run(["dpkg-deb", "--extract", *map(str, Path(aside).glob("*.deb")), str(unpacked)])
        shutil.rmtree(directory, ignore_errors=True)
        unpacked.rename(directory)
    return str(program)


def promtool() -> str:
    """Path of promtool, which comes with every Prometheus server."""
    return str(Path(prometheus()).with_name("promtool"))


def redis() -> str:
    """Path of a Redis server: the machine's own or Valkey's, else Debian's, of which only the tools are installed.

    They hold the program, which goes by the name that it is called by; the server's package would start one, now and at
    each boot.

    Raises:
        LocalClusterError: there is none, and this is not Debian or apt-get failed.
    """
    if found := shutil.which("redis-server") or shutil.which("valkey-server"):
        return found
    program = cache_dir() / "redis" / "redis-server"
    if not program.exists():
        if not _found("redis-check-rdb"):
            _install(["redis-tools"])
        program.parent.mkdir(parents=True, exist_ok=True)
        program.unlink(missing_ok=True)
        program.symlink_to("/usr/bin/redis-check-rdb")
    return str(program)


def _install(packages: list[str]) -> None:
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise LocalClusterError(f"missing on this machine: {', '.join(packages)}; install them and try again")
    print(f"installing {', '.join(packages)} ...", flush=True)
    for command in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", *packages]):
        run(["apt-get", *command], environment={"DEBIAN_FRONTEND": "noninteractive"})


def _found(program: str) -> bool:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None
