"""Programs that come from the distribution: container runtime, CNI plugins, packet filter, image builder."""

import os
import shutil
import subprocess
from pathlib import Path

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
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", *sorted(missing)]):
        done = subprocess.run(["apt-get", *command], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LocalClusterError(f"apt-get {command[0]} failed: {(done.stderr or done.stdout).strip()[-1000:]}")


def _found(program: str) -> bool:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None
