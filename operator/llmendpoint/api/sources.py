"""Where files are: what the address of a model, an adapter or a batch's file says, and which addresses are ones."""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from llmendpoint.api.base import cel

FETCHABLE = frozenset({"hf", "s3"})

# Scheme, pattern of what follows it, and what to write instead.
_FORMS = (
    (
        "hf",
        r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?",
        "must be owner/name, for example hf://meta-llama/Llama-3.1-8B-Instruct; "
        "put a branch, tag or commit into {parent}.revision",
    ),
    ("pvc", r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/.*)?", "must be claim/path, for example pvc://models/llama-3.1-8b"),
    ("s3", r"[A-Za-z0-9][A-Za-z0-9._-]*(/.*)?", "must be bucket/prefix, for example s3://models/llama-3.1-8b"),
)


@dataclass(frozen=True)
class Source:
    """An address, taken apart: hf://owner/name, pvc://claim/path, s3://bucket/prefix or oci://image."""

    scheme: str
    root: str
    """What holds the files: a repository of the hub, a claim, a bucket or an image."""
    path: str
    """Where in a claim or a bucket, without slashes at its ends; empty where that is all of it."""
    uri: str
    """As it was written."""

    @classmethod
    def of(cls, uri: str) -> "Source":
        """Take an address apart. One that the CRD refuses gives no error and nothing of use."""
        scheme, _, rest = uri.partition("://")
        root, _, path = rest.partition("/") if scheme in {"pvc", "s3"} else (rest, "", "")
        return cls(scheme, root, path.strip("/"), uri)

    @property
    def claim(self) -> str | None:
        """The claim of a pvc:// address."""
        return self.root if self.scheme == "pvc" else None

    @property
    def is_fetchable(self) -> bool:
        """Whether its files come over the network; the others are mounted as they are."""
        return self.scheme in FETCHABLE

    def folder(self, revision: str | None) -> str:
        """Name of a folder for its files on a volume, another one for each revision."""
        digest = hashlib.sha256(json.dumps([self.uri, revision]).encode()).hexdigest()[:8]
        return f"{re.sub('[^A-Za-z0-9.-]+', '--', self.name)[:80].strip('-.') or self.scheme}-{digest}"

    @property
    def name(self) -> str:
        """How the files are called where nobody says it: owner/name of the hub, otherwise the last part."""
        if self.scheme == "hf":
            return self.root
        return (self.path or self.root.rstrip("/")).rpartition("/")[2]


def source_rules(field: str) -> dict[str, Any]:
    """CEL rules of a field that holds an address.

    Args:
        field: its path below spec, for what a user reads.
    """
    parent = field.rpartition(".")[0]
    return cel(
        (
            "self.matches('^(hf|pvc|s3|oci)://.+')",
            f"{field} must start with hf://, pvc://, s3:// or oci://, for example hf://meta-llama/Llama-3.1-8B-Instruct",
        ),
        *(
            (
                f"!self.startsWith('{scheme}://') || self.matches('^{scheme}://{pattern}$')",
                f"{field} {scheme}:// {advice.format(parent=parent)}",
            )
            for scheme, pattern, advice in _FORMS
        ),
    )
