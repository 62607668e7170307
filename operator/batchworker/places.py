"""Where lines come from and answers go: a folder of a mounted claim, or a bucket with the S3 API."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import LocalStore, S3Store

if TYPE_CHECKING:  # obstore has it for type checkers only
    from obstore.store import RetryConfig

PART = 8 * 1024 * 1024
PARTS_AT_ONCE = 4
AT_ONCE = 1000
"""Objects that S3 removes with one request."""

RETRIES: "RetryConfig" = {"max_retries": 1000, "retry_timeout": timedelta(minutes=3)}
"""A store that is away for so long is waited for. The pauses grow to 15 seconds."""


class BadInput(Exception):
    """Nothing gets better by trying again: the message says what is wrong, where, and what to do."""


@dataclass(frozen=True)
class About:
    """What tells one file from another of the same name."""

    size: int
    modified: datetime


class Folder:
    """A folder, or all objects under a prefix. What is written is there in whole or not at all, and stays.

    Every method raises BadInput where access is refused, and OSError or an obstore error where the place is out of
    reach for longer than obstore tries again.
    """

    def __init__(self, store: LocalStore | S3Store, uri: str, directory: Path | None = None) -> None:
        self._store = store
        self._directory = directory
        self.uri = uri

    async def about(self, name: str) -> About | None:
        """Size and time of a file; None where there is none."""
        with self._explaining(name):
            try:
                meta = await obstore.head_async(self._store, name)
            except FileNotFoundError:
                return None
            return About(meta["size"], meta["last_modified"])

    async def read(self, name: str) -> bytes | None:
        """A small file; None where there is none."""
        with self._explaining(name):
            try:
                return bytes(await (await obstore.get_async(self._store, name)).bytes_async())
            except FileNotFoundError:
                return None

    async def read_range(self, name: str, start: int, stop: int) -> bytes:
        """Some bytes of a file that is there."""
        with self._explaining(name):
            return bytes(await obstore.get_range_async(self._store, name, start=start, end=stop))

    async def names(self, folder: str) -> list[str]:
        """Files of a folder below this one, not deeper."""
        with self._explaining(folder):
            listed = await obstore.list_with_delimiter_async(self._store, folder)
            return [entry["path"].rpartition("/")[2] for entry in listed["objects"]]

    async def create(self, name: str, content: bytes) -> bool:
        """Write a file that must not be there. False where it is: S3 is asked by ``If-None-Match``."""
        with self._explaining(name):
            try:
                await obstore.put_async(self._store, name, content, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
            await self._keep(name)
            return True

    async def replace(self, name: str, content: bytes | AsyncIterator[bytes]) -> None:
        """Write a file, in the place of what is there."""
        with self._explaining(name):
            await obstore.put_async(self._store, name, content, chunk_size=PART, max_concurrency=PARTS_AT_ONCE)
            await self._keep(name)

    async def remove(self, names: list[str]) -> None:
        """Remove files that are there or were."""
        for start in range(0, len(names), AT_ONCE):
            with self._explaining(names[start]), contextlib.suppress(FileNotFoundError):
                await obstore.delete_async(self._store, names[start : start + AT_ONCE])

    async def remove_unfinished(self, *names: str) -> None:
        """Remove what writers that were killed have left of files with such names, ``*`` and ``**`` being patterns.

        A bucket has rules for that.
        """
        if self._directory is not None:
            for path in [path for name in names for path in self._directory.glob(f"{name}#[0-9]*")]:
                path.unlink(missing_ok=True)

    async def _keep(self, name: str) -> None:
        """What a node forgets that loses its power must not count as written."""
        if self._directory is not None:
            path = self._directory / name
            await asyncio.gather(*(asyncio.to_thread(_to_disk, place) for place in (path, path.parent)))

    @contextlib.contextmanager
    def _explaining(self, name: str) -> Iterator[None]:
        try:
            yield
        except (PermissionDeniedError, UnauthenticatedError, PermissionError) as error:
            look = "user and group of the claim" if self._directory else "credentials, bucket and policy"
            said = str(error).partition("\n")[0]
            raise BadInput(f"{self.uri.rstrip('/')}/{name}: access is refused; look at {look} ({said})") from error
        except (BaseError, FileNotFoundError) as error:
            if "<Code>NoSuchBucket</Code>" in str(error):
                raise BadInput(f"{self.uri}: there is no such bucket; create it or correct the name") from error
            raise


def folder_at(uri: str) -> Folder:
    """The folder of a URI; a local one is made where it is missing. S3 is reached as AWS_* variables say.

    Raises:
        BadInput: it is no URI of a folder, or the folder can not be made.
    """
    scheme, host, path = _split(uri)
    if scheme == "s3":
        plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
        store = S3Store(
            host, prefix=path or None, client_options={"allow_http": plain}, retry_config=RETRIES
        )  # fmt: skip
        return Folder(store, uri)
    directory = Path("/", path)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{uri}: the folder can not be made; look at user and group of the claim ({error})") from error
    return Folder(LocalStore(directory, automatic_cleanup=True), uri, directory)


def file_at(uri: str) -> tuple[Folder, str]:
    """The folder of a file's URI, and its name in there.

    Raises:
        BadInput: it is no URI of a file, or its folder is not there.
    """
    scheme, host, path = _split(uri)
    folder, _, name = path.rpartition("/")
    if not name:
        raise BadInput(f"{uri!r} names no file")
    if scheme == "file" and not Path("/", folder).is_dir():
        raise BadInput(f"{uri}: there is no such folder")
    return folder_at(f"{scheme}://{host}/{folder}"), name


def _split(uri: str) -> tuple[str, str, str]:
    """Scheme, bucket and path of a URI. Nothing in it is decoded, as with other clients of S3."""
    scheme, _, rest = uri.partition("://")
    host, slash, path = rest.partition("/")
    path = path.removesuffix("/")
    is_one = bool(host) if scheme == "s3" else scheme == "file" and not host and bool(slash)
    if not is_one or (path and not {"", ".", ".."}.isdisjoint(path.split("/"))):
        raise BadInput(f"{uri!r} is neither file:///PATH nor s3://BUCKET/KEY")
    return scheme, host, path


def _to_disk(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
