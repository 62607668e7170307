"""Programs that come from the distribution: container runtime, CNI plugins, packet filter, image builder."""

import os
import shutil
from pathlib import Path

from localcluster.commands import run
from localcluster.errors import LocalClusterError

CNI_PLUGINS = Path("/usr/lib/cni")
_NODE = {"runc": "runc", "iptables": "iptables", "conntrack": "conntrack", "ip": "iproute2", "nsenter": "util-linux"}
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
    if not missing:
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise LocalClusterError(f"missing on this machine: {', '.join(sorted(missing))}; install them and try again")
    print(f"installing {', '.join(sorted(missing))} ...", flush=True)
    for command in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", *sorted(missing)]):
        run(["apt-get", *command], environment={"DEBIAN_FRONTEND": "noninteractive"})


def _found(program: str) -> bool:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None
