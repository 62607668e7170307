"""Where files come from, as a fetch sees it: a list of files, and a way to get each."""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

COMPLETE = ".complete"
"""The list of files, in whole folders and, of what is done, in partial ones."""
CLIENTS_OWN = ".cache"
"""Where the hub's client keeps its records and what it has not finished, and what is not finished of a bucket."""
_PASSWORD = re.compile(r"(?<=://)[^/@\s]*@")


@dataclass(frozen=True)
class File:
    """One file as its origin has it."""

    name: str
    """Path below the source, with slashes."""
    size: int
    """Bytes."""
    tag: str
    """Another one is another content."""


class _Told(Exception):
    """Its message goes to logs and to the endpoint's status: what addresses have of passwords is left out."""

    def __init__(self, message: str) -> None:
        super().__init__(_PASSWORD.sub("", message))


class Refused(_Told):
    """Nothing gets better by trying again: the message says what is wrong, where, and what to do."""


class Unavailable(_Told):
    """It may go better the next time: the message says what is wrong."""


class Origin(ABC):
    """A source. Every method raises Refused or Unavailable."""

    @abstractmethod
    async def files(self) -> Sequence[File]:
        """What is to be fetched."""

    @abstractmethod
    async def fetch(self, file: File, folder: Path) -> None:
        """Put a file at its name below a folder, in whole or not at all.

        Raises:
            OSError: the folder can not be written.
        """


def is_plain(name: str) -> bool:
    """Whether a file's name leads to nowhere but below its folder, and to nothing that a fetch keeps there itself.

    Who uploads a folder that was fetched uploads those as well.
    """
    parts = name.split("/")
    return {"", ".", ".."}.isdisjoint(parts) and parts[0] not in {COMPLETE, CLIENTS_OWN}
