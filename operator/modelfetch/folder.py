"""One fetched model on the volume: built beside its place, moved there when it is whole, and known to be so.

NAME.partial is what is being fetched, and NAME what engines load: it holds a list of its files, the last one written.
"""

import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from modelfetch.options import Download
from modelfetch.origin import CLIENTS_OWN, COMPLETE, File

PARTIAL = ".partial"


class ModelFolder:
    """The folder of a download.

    Args:
        root: the folder of all.
    """

    def __init__(self, root: Path, download: Download) -> None:
        self._download = download
        self.whole = root / download.folder
        self.partial = root / (download.folder + PARTIAL)
        self._files: dict[str, File] = {}
        """Those that are done, by name."""

    def is_whole(self) -> bool:
        """Whether it is there as it was fetched. One that lost something is taken back into work.

        Raises:
            OSError: the volume does not say.
        """
        listed = _listed(self.whole, self._download)
        if listed is not None and all(_is_there(self.whole, file) for file in listed.values()):
            self._files = dict(listed)
            return True
        if self.whole.exists():
            shutil.rmtree(self.partial, ignore_errors=True)
            self.whole.rename(self.partial)
        return False

    def begin(self, files: Iterable[File]) -> list[File]:
        """Go on in the partial folder. Returns what is still to be fetched.

        Raises:
            OSError: it can not be written.
        """
        self.partial.mkdir(parents=True, exist_ok=True)
        known = _listed(self.partial, self._download) or {}
        wanted = {file.name: file for file in files}
        self._files = {
            name: file for name, file in wanted.items() if known.get(name) == file and _is_there(self.partial, file)
        }
        for path in _files_below(self.partial):
            name = path.relative_to(self.partial).as_posix()
            if name not in self._files and name != COMPLETE:
                path.unlink()
        return [file for name, file in wanted.items() if name not in self._files]

    def add(self, file: File) -> None:
        """A file is done.

        Raises:
            OSError: it could not be written down.
            ValueError: it has not the size that was announced.
        """
        path = self.partial / file.name
        if not _is_there(self.partial, file):
            size = path.stat().st_size if path.exists() else 0
            raise ValueError(f"{self._download.source}/{file.name} has {size} bytes in place of {file.size}")
        _to_disk(path)
        self._files[file.name] = file
        self._write_list()

    def finish(self) -> None:
        """All files are there.

        Raises:
            OSError: the folder could not be moved.
        """
        shutil.rmtree(self.partial / CLIENTS_OWN, ignore_errors=True)
        self._write_list()
        self.partial.rename(self.whole)
        _to_disk(self.whole.parent)

    @property
    def files(self) -> Sequence[File]:
        """Those that are there."""
        return tuple(self._files.values())

    @property
    def size(self) -> int:
        """Bytes that are there, of files that are not finished too."""
        folder = self.whole if self.whole.exists() else self.partial
        return sum(_size(path) for path in _files_below(folder) if path != folder / COMPLETE)

    def _write_list(self) -> None:
        entries = {name: [file.size, file.tag] for name, file in self._files.items()}
        about = {"source": self._download.source, "revision": self._download.revision, "files": entries}
        aside = self.partial / (COMPLETE + ".new")
        aside.write_text(json.dumps(about))
        _to_disk(aside)
        aside.rename(self.partial / COMPLETE)


def remove_others(root: Path, wanted: Iterable[str]) -> list[str]:
    """Remove every folder that is neither wanted nor on its way to be. Returns their names.

    Raises:
        OSError: one could not be removed.
    """
    names = set(wanted)
    gone = [path for path in root.iterdir() if path.name.removesuffix(PARTIAL) not in names]
    for path in gone:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return sorted(path.name for path in gone)


def _listed(folder: Path, download: Download) -> Mapping[str, File] | None:
    """The files that a folder says it has of a download; None where it says nothing of use."""
    try:
        about = json.loads((folder / COMPLETE).read_text())
        files = {name: File(name, int(size), str(tag)) for name, (size, tag) in about["files"].items()}
        is_same = (about["source"], about["revision"]) == (download.source, download.revision)
    except (FileNotFoundError, NotADirectoryError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return files if is_same else None


def _is_there(folder: Path, file: File) -> bool:
    """Whether it is. A volume that does not answer raises: nothing must be fetched anew for that under a replica."""
    try:
        found = (folder / file.name).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == file.size


def _files_below(folder: Path) -> Iterator[Path]:
    for directory, _, names in os.walk(folder):
        yield from (Path(directory, name) for name in names)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # renamed a moment ago
        return 0


def _to_disk(path: Path) -> None:
    """What a node forgets that loses its power must not count as fetched."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
