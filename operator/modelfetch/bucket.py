"""s3://: the objects under a prefix of a bucket. S3 is reached as AWS_* variables say."""

import asyncio
import contextlib
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import (
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from modelfetch.origin import CLIENTS_OWN, File, Origin, Refused, Unavailable, is_plain

if TYPE_CHECKING:  # obstore has it for type checkers only
    from obstore import Bytes, GetOptions, ObjectMeta
    from obstore.store import ClientConfig, RetryConfig

PART = 8 * 1024 * 1024
PARTS_AT_ONCE = 16
# A part may be slow, but not silent. Of itself the client would end each after 30 s, and only an ETag lets it go on.
PATIENCE: "ClientConfig" = {"timeout": timedelta(minutes=3), "read_timeout": timedelta(seconds=30)}
RETRIES: "RetryConfig" = {"max_retries": 20, "retry_timeout": timedelta(minutes=3)}


class Bucket(Origin):
    """All objects under a prefix, each in parts that are asked for at the same time."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._uri = f"s3://{bucket}/{prefix}".rstrip("/")
        self._bucket = bucket
        plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
        client: ClientConfig = {"allow_http": plain, **PATIENCE}
        self._store = S3Store(bucket, prefix=prefix or None, client_options=client, retry_config=RETRIES)
        self._turns = asyncio.Semaphore(PARTS_AT_ONCE)

    async def files(self) -> Sequence[File]:
        """What the prefix holds."""
        found: list[ObjectMeta] = []
        with self._explaining():
            async for some in obstore.list(self._store):
                found += some
        # A name that ends with a slash is a folder of somebody's file manager.
        files = [
            File(entry["path"], entry["size"], entry["e_tag"] or entry["last_modified"].isoformat())
            for entry in found
            if is_plain(entry["path"])
        ]
        if not files:
            raise Refused(f"{self._uri}: there is no object under this prefix: correct the bucket or the prefix")
        return files

    async def fetch(self, file: File, folder: Path) -> None:
        """Part by part, under a name that no object has until all of them are there."""
        path = folder / file.name
        aside = folder / CLIENTS_OWN / hashlib.sha256(file.name.encode()).hexdigest()
        for parent in (path.parent, aside.parent):
            parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(b"")
        try:
            async with asyncio.TaskGroup() as tasks:
                for start in range(0, file.size, PART):
                    await self._turns.acquire()
                    part = tasks.create_task(self._part(file, aside, start))
                    part.add_done_callback(lambda _: self._turns.release())
        except ExceptionGroup as group:
            # The first one has ended all others.
            raise group.exceptions[0] from group
        aside.rename(path)

    async def _part(self, file: File, path: Path, start: int) -> None:
        stop = min(start + PART, file.size)
        wanted: GetOptions = {"range": (start, stop)}
        if file.tag.startswith('"'):  # an ETag; not every server has one of every object
            wanted["if_match"] = file.tag
        with self._explaining():
            answer = await obstore.get_async(self._store, file.name, options=wanted)
            content = await answer.bytes_async()
        if len(content) != stop - start:
            raise Unavailable(f"{self._uri}/{file.name}: {len(content)} bytes came in place of {stop - start}")
        await asyncio.to_thread(_write, path, content, start)

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            raise self._meaning(error) from error

    def _meaning(self, error: Exception) -> Refused | Unavailable:
        said = _said(error)
        if "NoSuchBucket" in str(error):
            return Refused(f"{self._uri}: there is no bucket {self._bucket}: correct the source")
        # What goes wrong with a listing is of no kind of its own.
        is_refused = isinstance(error, PermissionDeniedError | UnauthenticatedError)
        if is_refused or re.search("status code: 40[13]", said):
            return Refused(
                f"{self._uri}: access is refused: look at model.s3.credentialsSecretRef, the bucket and its policy "
                f"({said})"
            )
        if isinstance(error, PreconditionError | NotFoundError | FileNotFoundError):
            return Unavailable(f"{self._uri} was changed while it was fetched ({said})")
        return Unavailable(f"{self._uri} is out of reach ({said}): look at model.s3.endpointURL")


def _write(path: Path, content: "bytes | Bytes", start: int) -> None:
    """All of it, or an error. By name: a thread that is late must not write to what has an old file's number."""
    with path.open("r+b") as file:
        file.seek(start)
        file.write(content)


def _said(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
