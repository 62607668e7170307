"""What a fetch is told: what to fetch, where to, and what is in use there."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TERMINATION_LOG = Path("/dev/termination-log")


@dataclass(frozen=True)
class Download:
    """One model, or what else is loaded as a folder of files."""

    source: str
    """hf://OWNER/NAME or s3://BUCKET/PREFIX."""
    folder: str
    """Its folder's name."""
    revision: str | None = None
    """Branch, tag or commit of hf://."""
    needs: str | None = None
    """A file without which it is not what is wanted: nothing is fetched then."""


@dataclass(frozen=True)
class Options:
    """The command line."""

    root: Path
    """Where the folders are. Whatever else is in there is removed."""
    downloads: tuple[Download, ...]
    control_port: int
    keep: frozenset[str] = frozenset()
    """Folders that stay although they are not fetched: engines load from them."""
    host: str = "0.0.0.0"  # noqa: S104 - a pod's own address is known to the kubelet alone
    termination_log: Path = TERMINATION_LOG
    """Gets the last word, for the pod's status; nothing is written where the kubelet put no such file."""


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; what is wrong ends the process with status 2."""
    parser = argparse.ArgumentParser(prog="modelfetch", description=__doc__)
    run = parser.add_subparsers(required=True, metavar="COMMAND").add_parser("run", help="fetch what is not there")
    run.add_argument("--root", required=True, type=Path)
    run.add_argument(
        "--download", required=True, action="append", type=_download, dest="downloads", metavar="JSON",
        help='{"source": "hf://OWNER/NAME", "revision": "main", "folder": "NAME"}; several are fetched in this order',
    )  # fmt: skip
    run.add_argument("--keep", action="append", default=[], metavar="FOLDER")
    run.add_argument("--control-port", required=True, type=int)
    run.add_argument("--host", default=Options.host)
    run.add_argument("--termination-log", type=Path, default=TERMINATION_LOG)
    given = vars(parser.parse_args(arguments))
    return Options(**given | {"downloads": tuple(given["downloads"]), "keep": frozenset(given["keep"])})


def _download(text: str) -> Download:
    try:
        download = Download(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no download: {error}") from error
    if not download.folder or "/" in download.folder or download.folder.startswith("."):
        raise argparse.ArgumentTypeError(f"{download.folder!r} is no name of a folder")
    return download
