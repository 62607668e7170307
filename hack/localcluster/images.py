"""Container images without a registry: built by Docker or buildah, handed over as OCI archives."""

import functools
import hashlib
import io
import json
import os
import platform
import shutil
import tarfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from localcluster import packages, runtime, tools
from localcluster.commands import docker_answers, run
from localcluster.node import PAUSE_IMAGE
from localcluster.paths import ROOT, cache_dir

IMAGES: dict[str, tuple[str, ...]] = {
    "operator": ("operator/llmendpoint", "operator/activator"),
    "queue": ("operator/engineclient", "operator/jobqueue"),
    "redis": (),
    "batch": ("operator/engineclient", "operator/batchworker"),
    "modelfetch": ("operator/modelfetch", "operator/adapterloader"),
    "enginesim": ("operator/enginesim", "images/bin"),
    "rag": ("rag",),
    "business": ("tests/business",),
    "vllm": (),
}
"""Image -> what it is made of beside SHARED."""
PRODUCT = ("operator", "queue", "redis", "batch", "modelfetch", "enginesim")
"""What each cluster with our product has."""
SHARED = ("images/Dockerfile", "images/strip", "pyproject.toml", "uv.lock")
BASE = "docker.io/llmendpoint/base:dev"
BUILD_IMAGE_USER_FILES = ("/etc/ssl/certs", "/etc/pip.conf")
# Another checkout's archives may be in use: only what nobody built for days goes.
KEPT_SECONDS = 3 * 86400


@functools.cache
def tag(image: str) -> str:
    """The image's tag says what it was made of, so that a cluster never keeps running an older one of that name."""
    return _digest((*SHARED, *IMAGES[image]))


def image_name(image: str) -> str:
    """Full name of one of our images."""
    return f"docker.io/llmendpoint/{image}:{tag(image)}"


def build(wanted: Sequence[str] = PRODUCT) -> list[Path]:
    """OCI archives of our images, from the working tree. What did not change is not built again.

    Raises:
        LocalClusterError: neither Docker nor buildah can build.
    """
    archives = {image: cache_dir() / "images" / f"{image}-{tag(image)}.tar" for image in wanted}
    missing = [image for image, archive in archives.items() if not archive.exists()]
    if missing:
        (cache_dir() / "images").mkdir(parents=True, exist_ok=True)
        runtime.export_requirements()
        for image in missing:
            print(f"building image {image_name(image)} ...", flush=True)
            _build_one(image, archives[image])
        _remove_unused()
    return list(archives.values())


def pause_archive() -> Path:
    """The image that holds a pod's namespaces, put together by hand: one file in one layer."""
    binary = Path(tools.program("pause")).read_bytes()
    archive = cache_dir() / "images" / f"pause-{hashlib.sha256(binary).hexdigest()[:12]}.tar"
    if not archive.exists():
        archive.parent.mkdir(parents=True, exist_ok=True)
        archive.write_bytes(_oci_archive(PAUSE_IMAGE, {"pause": binary}, ["/pause"]))
    return archive


def run_inside(image: str, command: Sequence[str], mounts: Mapping[Path, str]) -> str:
    """Run a command in a container of an image that was built here, with the machine's network; what it printed.

    Args:
        mounts: folders of this machine and where they lie in the container.

    Raises:
        LocalClusterError: it failed.
    """
    volumes = [f"--volume={path}:{place}" for path, place in mounts.items()]
    if docker_answers():
        return run(["docker", "run", "--rm", *volumes, image_name(image), *command]).stdout
    container = _buildah("from", "--pull-never", image_name(image)).strip()
    try:
        return _buildah("run", "--isolation=chroot", *_user_files(), *volumes, container, "--", *command)
    finally:
        _buildah("rm", container)


def _build_one(image: str, archive: Path) -> None:
    aside = archive.with_suffix(f".{os.getpid()}")
    arguments = ["--target", image, "-t", image_name(image), "-f", str(ROOT / "images" / "Dockerfile")]
    if docker_answers():
        run(["docker", "build", *arguments, str(ROOT)])
        run(["docker", "save", "-o", str(aside), image_name(image)])
    else:
        packages.ensure(images=True)
        base = _base_image()
        _buildah(
            "bud", "--quiet", "--layers", "--isolation=chroot", "--network=host", "--pull-never",
            f"--build-arg=BASE={base}", *_user_files(), *arguments, str(ROOT),
        )  # fmt: skip
        _buildah("push", "--quiet", image_name(image), f"oci-archive:{aside}:{image_name(image)}")
    aside.rename(archive)


def _user_files() -> list[str]:
    """How this machine reaches the package index: its certificates and settings."""
    return [f"--volume={path}:{path}:ro" for path in BUILD_IMAGE_USER_FILES if Path(path).exists()]


def _remove_unused() -> None:
    for archive in (cache_dir() / "images").glob("*.tar"):
        if not archive.name.startswith("pause") and time.time() - archive.stat().st_mtime > KEPT_SECONDS:
            archive.unlink(missing_ok=True)


def _base_image() -> str:
    """Debian with Python, made by debootstrap: there is no registry to pull a base from."""
    if _buildah("images", "--quiet", "--filter", f"reference={BASE}", check=False).strip():
        return BASE
    print("building a base image with debootstrap (about 1 min, once) ...", flush=True)
    root = cache_dir() / "base"
    shutil.rmtree(root, ignore_errors=True)
    packages_wanted = "python3,python3-venv,ca-certificates"
    release, mirror = _debian_release(), _debian_mirror()
    run(["debootstrap", "--variant=minbase", f"--include={packages_wanted}", release, str(root), *mirror])
    for cached in (root / "var/cache/apt/archives").glob("*.deb"):
        cached.unlink()
    container = _buildah("from", "scratch").strip()
    _buildah("add", "--quiet", container, str(root), "/")
    _buildah("commit", "--quiet", container, BASE)
    _buildah("rm", container)
    shutil.rmtree(root, ignore_errors=True)
    return BASE


def _debian_release() -> str:
    text = Path("/etc/os-release").read_text()
    fields = dict(line.partition("=")[::2] for line in text.splitlines())
    return fields.get("VERSION_CODENAME", "").strip('"') or "bookworm"


def _debian_mirror() -> list[str]:
    """The Debian mirror that this machine uses; none for debootstrap's own choice."""
    for path in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
        for word in path.read_text().split() if path.is_file() else ():
            if word.startswith("http") and word.rstrip("/").endswith("/debian"):
                return [word]
    return []


def _digest(sources: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for source in sources:
        path = ROOT / source
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def _buildah(*args: str, check: bool = True) -> str:
    store = cache_dir() / "buildah"
    storage = [f"--root={store / 'root'}", f"--runroot={store / 'run'}", "--storage-driver=overlay"]
    # In a mount namespace of its own: the overlay driver leaves its folder mounted.
    return run(["unshare", "--mount", "buildah", *storage, *args], check=check).stdout


def _oci_archive(name: str, files: dict[str, bytes], entrypoint: list[str]) -> bytes:
    """An OCI image layout with one layer. https://github.com/opencontainers/image-spec"""
    layer = _tar({path: (content, 0o755) for path, content in files.items()})
    blobs: dict[str, bytes] = {}

    def blob(content: bytes, media_type: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": entrypoint},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
        "layers": [blob(layer, "application/vnd.oci.image.layer.v1.tar")],
    }
    described = blob(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
    described["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
    index = json.dumps({"schemaVersion": 2, "manifests": [described]}).encode()
    layout = json.dumps({"imageLayoutVersion": "1.0.0"}).encode()
    everything = {**blobs, "index.json": index, "oci-layout": layout}
    return _tar({path: (content, 0o644) for path, content in everything.items()})


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, (content, mode) in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
