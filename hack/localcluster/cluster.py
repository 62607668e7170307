"""A cluster to work with: the one that the user names, kind where Docker answers, else one made here."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from localcluster import hardware, packages, tools
from localcluster.commands import docker_answers, run
from localcluster.controlplane import ControlPlane
from localcluster.errors import LocalClusterError
from localcluster.node import Node
from localcluster.paths import ROOT, state_dir
from localcluster.sandbox import Sandbox

USER_CLUSTER = "LLMENDPOINT_KUBECONFIG"
Kind = Literal["user", "kind", "local"]
ESTABLISHED = ("wait", "--for=condition=Established", "-f", str(ROOT / "crds"), "--timeout=20s")


@dataclass(frozen=True)
class Cluster:
    """A running cluster."""

    name: str
    kind: Kind
    kubeconfig: Path
    has_node: bool

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run kubectl against it.

        Raises:
            LocalClusterError: it failed and ``check`` is set.
        """
        return tools.kubectl(self.kubeconfig, *args, stdin=stdin, check=check)

    @property
    def control_plane(self) -> ControlPlane:
        """Its control plane, of one that was made here."""
        return _parts(self.name, node=self.has_node)[1]

    @property
    def machine_address(self) -> str:
        """This machine's address as the API server sees it, of a cluster that was made here."""
        sandbox = _parts(self.name, node=self.has_node)[0]
        return sandbox.host_address if sandbox else "127.0.0.1"

    def on_node(self, command: Sequence[str]) -> list[str]:
        """The command line that runs a command in the network of the node, of a cluster that was made here."""
        sandbox = _parts(self.name, node=self.has_node)[0]
        return sandbox.command(command) if sandbox else list(command)

    def load_image(self, archive: Path) -> None:
        """Make the image in an OCI archive known to the nodes."""
        if self.kind == "kind":
            run(["kind", "load", "image-archive", str(archive), "--name", self.name])
        elif self.kind == "local" and self.has_node:
            _parts(self.name, node=True)[2].load_image(archive)
        else:
            raise LocalClusterError(f"push {archive.name} to a registry that this cluster can pull from")

    def install_crd(self) -> None:
        """Apply crds/ and wait until the API server serves what is in it."""
        self.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        self.await_crd()

    def await_crd(self) -> None:
        """Wait until the API server serves what is in crds/, which it begins to a moment after it is ready."""
        end = time.monotonic() + 60.0
        # The first fails at once where the status has no conditions yet, the second while storage is made.
        for served in (ESTABLISHED, ("get", "llmendpoints,llmbatches", "-A")):
            while self.kubectl(*served, check=time.monotonic() > end).returncode:
                time.sleep(0.2)

    def down(self) -> None:
        """Remove it, unless it is the user's own."""
        if self.kind != "user":
            down(self.name)


def can_have_node() -> bool:
    """Whether this machine can run containers for a cluster made here."""
    return sys.platform == "linux" and os.geteuid() == 0


def missing_for_containers() -> str | None:
    """What keeps this machine from running containers in any cluster; None where nothing does."""
    if os.environ.get(USER_CLUSTER) or _kind_answers() or can_have_node():
        return None
    return f"running containers needs Docker with kind, or root on Linux; or name a cluster in {USER_CLUSTER}"


def up(
    name: str = "llmendpoint", *, node: bool = True, fake_nodes: int = 0, audit_policy: Path | None = None
) -> Cluster:
    """Start a cluster, or return the one of that name that runs.

    Args:
        name: clusters of different names run side by side.
        node: whether pods have to run; without it there is only an API server with its controllers.
        fake_nodes: nodes that only exist on paper, beside or instead of the real one.
        audit_policy: of a cluster made here for measuring: which requests its API server logs.

    Raises:
        LocalClusterError: no cluster can be had; the message says what is missing.
    """
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,30}[a-z0-9])?", name):
        raise LocalClusterError(
            f"{name!r} is not usable as a cluster name: up to 32 lower-case letters, digits and '-'"
        )
    if given := os.environ.get(USER_CLUSTER):
        return Cluster(name, "user", Path(given), has_node=True)
    if found := running(name):
        return found
    if node and (missing := missing_for_containers()):
        raise LocalClusterError(missing)
    if node and _kind_answers():
        return _kind_up(name)
    return _local_up(name, node=node, fake_nodes=fake_nodes, audit_policy=audit_policy)


def running(name: str) -> Cluster | None:
    """The cluster of that name that was started here and answers."""
    directory = state_dir(name)
    marker = directory / "ready"
    if not marker.exists():
        return None
    kind, has_node = marker.read_text().split()
    cluster = Cluster(name, "kind" if kind == "kind" else "local", directory / "kubeconfig.yaml", has_node == "node")
    return cluster if cluster.kubectl("version", check=False).returncode == 0 else None


def down(name: str = "llmendpoint") -> None:
    """Remove a cluster and all that it left, however far its start or its end got."""
    directory = state_dir(name)
    marker = directory / "ready"
    if marker.exists() and marker.read_text().startswith("kind"):
        run(["kind", "delete", "cluster", "--name", name])
        shutil.rmtree(directory, ignore_errors=True)
        return
    if not directory.exists():
        return
    sandbox, control_plane, node = _parts(name, node=can_have_node())
    marker.unlink(missing_ok=True)
    if sandbox is not None:
        node.drain()
    with contextlib.suppress(LocalClusterError):  # what it could not stop, the sandbox does
        control_plane.stop()
    if sandbox is not None:
        sandbox.destroy()
    shutil.rmtree(directory, ignore_errors=True)


def _local_up(name: str, *, node: bool, fake_nodes: int, audit_policy: Path | None) -> Cluster:
    tools.ensure(tools.CONTROL_PLANE + (tools.NODE if node else ()))
    if node:
        packages.ensure(images=False)
    down(name)  # what an interrupted start left
    directory = state_dir(name)
    directory.mkdir(parents=True)
    sandbox, control_plane, machine = _parts(name, node=node)
    try:
        if sandbox is not None:
            sandbox.create()
            machine.start_runtime()
        control_plane.start(audit_policy)
        if sandbox is not None:
            from localcluster.images import pause_archive

            machine.load_image(pause_archive())
            machine.start()
        if fake_nodes:
            control_plane.add_fake_nodes(fake_nodes)
    except BaseException:
        down(name)
        raise
    (directory / "ready").write_text(f"local {'node' if node else 'none'}")
    return Cluster(name, "local", control_plane.kubeconfig, has_node=node)


def _parts(name: str, *, node: bool) -> tuple[Sandbox | None, ControlPlane, Node]:
    directory = state_dir(name)
    sandbox = Sandbox(name, directory)
    control_plane = ControlPlane(name, directory, sandbox if node else None)
    return (sandbox if node else None), control_plane, Node(directory, sandbox, control_plane)


def _kind_answers() -> bool:
    return docker_answers() and shutil.which("kind") is not None


def _kind_up(name: str) -> Cluster:
    directory = state_dir(name)
    directory.mkdir(parents=True, exist_ok=True)
    kubeconfig = directory / "kubeconfig.yaml"
    config = ROOT / "kind-config.yaml"
    if name not in run(["kind", "get", "clusters"]).stdout.split():
        run(["kind", "create", "cluster", "--name", name, "--config", str(config), "--kubeconfig", str(kubeconfig)])
    for node in run(["kind", "get", "nodes", "--name", name]).stdout.split():
        hardware.add_gpus(kubeconfig, node)
    # kind's own provisioner makes no volume that several pods can share.
    hardware.add_volumes(kubeconfig, Path("/var/local/volumes"))
    (directory / "ready").write_text("kind node")
    return Cluster(name, "kind", kubeconfig, has_node=True)
