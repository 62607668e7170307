"""The local cluster starts after whatever interrupted it, and leaves nothing when it goes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localcluster import cluster as local
from localcluster.commands import run
from localcluster.paths import ROOT, state_dir
from localcluster.sandbox import Sandbox, _start_time
from support.kube import eventually

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not local.can_have_node(), reason="a node of our own needs root on Linux"),
]


@pytest.fixture
def name() -> Iterator[str]:
    made = f"interrupted-{os.getpid()}"
    yield made
    local.down(made)
    assert left_behind(made) == []


def left_behind(name: str) -> list[str]:
    """Processes, mounts, links, control groups and files of a cluster."""
    directory = str(state_dir(name))
    sandbox = Sandbox(name, state_dir(name))
    processes = [
        f"process {path.parent.name}: {command}"
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if directory in (command := _text(path).replace("\0", " ")) and path.parent.name != str(os.getpid())
    ]
    mounts = [f"mount {line}" for line in _text(Path("/proc/mounts")).splitlines() if directory in line]
    links = [entry["ifname"] for entry in json.loads(run(["ip", "-json", "link"]).stdout)]
    chains = [line for line in run(["iptables-save"]).stdout.splitlines() if "KUBE" in line]
    # Others' groups come and go meanwhile, over which Path.glob stumbles.
    groups = [folder for folder, _, _ in os.walk("/sys/fs/cgroup") if Path(folder).name == sandbox.cgroup]
    files = [directory] if state_dir(name).exists() else []
    return [*processes, *mounts, *(link for link in links if link == sandbox.link), *chains, *groups, *files]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # a process that has just ended
        return ""


def interrupted_start(name: str, when: Callable[[], bool], how: signal.Signals) -> None:
    # Where tests run in the background SIGINT is ignored, and so it would be here.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "localcluster", "up", "--name", name]
    process = subprocess.Popen(command, cwd=ROOT / "hack", stdout=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while not when():
        assert process.poll() is None, "it was up, or had failed, before the moment came"
        assert time.monotonic() < end
        time.sleep(0.005)
    process.send_signal(how)
    process.wait(60)


def test_a_process_that_ignores_the_request_to_end_is_ended(name: str) -> None:
    sandbox = Sandbox(name, state_dir(name))
    sandbox.create()
    script = "trap '' TERM; echo ready; while :; do sleep 0.1; done"
    with subprocess.Popen(sandbox.command(["sh", "-c", script]), stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        assert stubborn.stdout.readline() == b"ready\n"
        sandbox.destroy()
        assert stubborn.wait(5) == -signal.SIGKILL


def test_an_anchor_without_namespaces_ends_and_takes_nobody_with_it(tmp_path: Path) -> None:
    sandbox = Sandbox("early", tmp_path)
    with subprocess.Popen(["sleep", "60"]) as anchor:
        (tmp_path / "anchor").write_text(f"{anchor.pid} {_start_time(anchor.pid)}")
        assert sandbox._processes() == set()
        sandbox.destroy()
        assert anchor.wait(5) == -signal.SIGKILL


MOMENTS = {
    "the namespaces are made": "anchor",
    "the container runtime starts": "containerd.sock",
    "the API server is up": "kubeconfig.yaml",
    "the kubelet starts": "kubelet.log",
}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("file", MOMENTS.values(), ids=MOMENTS.keys())
def test_a_killed_start_is_cleaned_up(name: str, file: str) -> None:
    interrupted_start(name, (state_dir(name) / file).exists, signal.SIGKILL)
    local.down(name)
    assert left_behind(name) == []


@pytest.mark.timeout(240)
def test_a_start_after_a_killed_one_comes_up(name: str) -> None:
    interrupted_start(name, (state_dir(name) / "kubelet.log").exists, signal.SIGKILL)
    started = time.monotonic()
    cluster = local.up(name)
    assert time.monotonic() - started < 120
    eventually(lambda: "Ready" in cluster.kubectl("get", "nodes", "--no-headers").stdout)


@pytest.mark.timeout(240)
def test_a_start_that_is_interrupted_by_hand_leaves_nothing(name: str) -> None:
    interrupted_start(name, (state_dir(name) / "kubeconfig.yaml").exists, signal.SIGINT)
    assert left_behind(name) == []
