"""What the operator's containers start: a first process, which loses every SIGTERM until it asks for it."""

import os
import subprocess
import sys

import pytest

from localcluster.paths import ROOT

STOPPED_WHILE_IT_IMPORTS = """
import builtins, os, runpy, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as the kernel does for the first process of a container
really = builtins.__import__
def importing(name, *more, **named):
    if name == "asyncio":  # the first of what takes time
        builtins.__import__ = really
        os.kill(os.getpid(), signal.SIGTERM)
    return really(name, *more, **named)
builtins.__import__ = importing
runpy.run_module(sys.argv[1], run_name="__main__")
"""


@pytest.mark.parametrize(
    ("package", "status"),
    [
        ("llmendpoint", 0),
        ("activator", 0),
        ("adapterloader", 0),
        ("jobqueue", 0),
        # What is not done is to be tried again.
        ("batchworker", 1),
        ("modelfetch", 1),
    ],
)
def test_a_process_that_is_told_to_stop_while_it_starts_stops(package: str, status: int) -> None:
    # Without a cluster or arguments it ends with another status when it goes on, 2 but for the operator.
    environment = {"PYTHONPATH": str(ROOT / "operator"), "PATH": os.environ["PATH"]}
    ended = subprocess.run(
        [sys.executable, "-c", STOPPED_WHILE_IT_IMPORTS, package],
        env=environment, check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (status, "")
