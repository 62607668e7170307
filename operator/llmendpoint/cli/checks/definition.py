"""Whether the API server answers, is new enough, and knows our kinds as this version does."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from llmendpoint.api import names
from llmendpoint.api.schema import Definition, object_schema
from llmendpoint.cli.checks.check import Check, unread
from llmendpoint.cluster.errors import ClusterError
from llmendpoint.manifests.common import Manifest

OLDEST = (1, 30)
FIELDS_NAMED = 4
SUBJECT = "CRD"
UPDATE = "llmendpoint crd | kubectl apply --server-side -f -, or helm upgrade the operator's release"


def check_server(server: str, version: str) -> Iterator[Check]:
    """The API server's version."""
    found = re.match(r"v?(\d+)\.(\d+)", version)
    if found and (int(found[1]), int(found[2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        yield Check(
            level="fail", subject="API server", found=f"{version} at {server}", todo=f"use Kubernetes {oldest} or newer"
        )
    else:
        yield Check(level="ok", subject="API server", found=f"{version} at {server}")


def check_definition(ours: Definition, crd: Manifest | ClusterError | None) -> Iterator[Check]:
    """The kind is there, served, and has this version's schema."""
    if isinstance(crd, ClusterError):
        yield unread(SUBJECT, crd)
        return
    if crd is None:
        yield Check(level="fail", subject=SUBJECT, found=f"this cluster has no kind {ours.kind}", todo=UPDATE)
        return
    name = ours.name
    served = next((entry for entry in crd["spec"]["versions"] if entry["name"] == names.VERSION), None)
    if served is None or not served.get("served"):
        yield Check(level="fail", subject=SUBJECT, found=f"{name} does not serve {names.VERSION}", todo=UPDATE)
        return
    conditions = {entry["type"]: entry["status"] for entry in (crd.get("status") or {}).get("conditions") or ()}
    if conditions.get("Established") != "True":
        yield Check(
            level="fail", subject=SUBJECT, found=f"{name} is not established", todo=f"kubectl describe crd {name}"
        )
        return
    yield _compared(name, object_schema(ours), served["schema"]["openAPIV3Schema"])


def _compared(name: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Check:
    lacking, more = sorted(_fields(ours) - _fields(theirs)), sorted(_fields(theirs) - _fields(ours))
    if lacking:
        return Check(
            level="fail",
            subject=SUBJECT,
            found=f"{name} is older than this command: it lacks {_some(lacking)}",
            todo=UPDATE,
        )
    if more:
        return Check(
            level="warn",
            subject=SUBJECT,
            found=f"{name} is newer than this command: it has {_some(more)}",
            todo="use a command of the operator's version",
        )
    if _meaning(ours) != _meaning(theirs):
        return Check(
            level="warn", subject=SUBJECT, found=f"{name} has other rules or defaults than this command", todo=UPDATE
        )
    return Check(level="ok", subject=SUBJECT, found=f"{name} {names.VERSION} has the schema of this command")


def _fields(node: Any, path: str = "") -> set[str]:
    """Paths of all fields."""
    found: set[str] = set()
    for name, child in (node.get("properties") or {}).items():
        inside = f"{path}.{name}".removeprefix(".")
        found |= {inside} | _fields(child, inside)
    for keyword in ("items", "additionalProperties"):
        if isinstance(child := node.get(keyword), Mapping):
            found |= _fields(child, f"{path}[]")
    return found


def _meaning(node: Any) -> Any:
    """A schema without what is for people only."""
    if isinstance(node, Mapping):
        return {
            key: _meaning(value) for key, value in node.items() if key != "description" or isinstance(value, Mapping)
        }
    if isinstance(node, list):
        return [_meaning(entry) for entry in node]
    return node


def _some(fields: list[str]) -> str:
    more = len(fields) - FIELDS_NAMED
    return ", ".join(fields[:FIELDS_NAMED]) + (f" and {more} more" if more > 0 else "")
