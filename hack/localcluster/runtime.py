"""The Python packages that our images carry: for the images themselves, and for a process like the operator's."""

import sys
from pathlib import Path

from localcluster.commands import UV, run
from localcluster.paths import ROOT

LOCKED = ("--frozen", "--no-dev", "--extra=batch", "--extra=fetch", "--extra=tracing")
RAG_LOCKED = ("--frozen", "--no-dev", "--package=llm-twin-rag", "--extra=carried", "--extra=tracing")


def export_requirements() -> None:
    """Write them where the Dockerfile looks for them."""
    (ROOT / ".build").mkdir(exist_ok=True)
    for name, locked in (("requirements.txt", LOCKED), ("requirements-rag.txt", RAG_LOCKED)):
        command = [UV, "export", *locked, "--no-emit-workspace", "--no-header", "--no-annotate"]
        (ROOT / ".build" / name).write_text(run(command, cwd=ROOT).stdout)


def python() -> Path:
    """An interpreter that has them and nothing else: what a developer installs beside takes memory in an operator."""
    environment = ROOT / ".build" / "runtime"
    command = [UV, "sync", *LOCKED, "--quiet", f"--python={sys.executable}"]
    run(command, cwd=ROOT, environment={"UV_PROJECT_ENVIRONMENT": str(environment)})
    return environment / "bin" / "python"
