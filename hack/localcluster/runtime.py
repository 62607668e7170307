"""The Python packages that the product's images carry: for the images themselves, and for a process like theirs."""

import sys
from pathlib import Path

from localcluster.commands import UV, run
from localcluster.paths import ROOT

LOCKED = ("--frozen", "--no-dev", "--extra=batch", "--extra=fetch", "--extra=tracing")


def export_requirements() -> None:
    """Write them where the Dockerfile looks for them."""
    (ROOT / ".build").mkdir(exist_ok=True)
    command = [UV, "export", *LOCKED, "--no-emit-project", "--no-header", "--no-annotate"]
    (ROOT / ".build" / "requirements.txt").write_text(run(command, cwd=ROOT).stdout)


def python() -> Path:
    """An interpreter that has them and nothing else: what a developer installs beside takes memory in an operator."""
    environment = ROOT / ".build" / "runtime"
    command = [UV, "sync", *LOCKED, "--quiet", f"--python={sys.executable}"]
    run(command, cwd=ROOT, environment={"UV_PROJECT_ENVIRONMENT": str(environment)})
    return environment / "bin" / "python"
