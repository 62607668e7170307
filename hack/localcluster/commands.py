"""Programs run to their end, with an error that says what they said."""

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from localcluster.errors import LocalClusterError

UV = os.environ.get("UV", "uv")
"""The uv that runs this process, which need not be on PATH."""


def run(
    command: Sequence[str],
    *,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end.

    Args:
        environment: added to this process's own.

    Raises:
        LocalClusterError: it failed and ``check`` is set; the message ends with what it printed last.
    """
    done = subprocess.run(
        command,
        cwd=cwd, env={**os.environ, **(environment or {})}, input=stdin, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise LocalClusterError(f"{Path(command[0]).name} {' '.join(command[1:])}: {said}")
    return done


@functools.cache
def docker_answers() -> bool:
    """Whether there is a Docker engine to build images and run kind with."""
    docker = shutil.which("docker")
    return docker is not None and run([docker, "info"], check=False).returncode == 0
