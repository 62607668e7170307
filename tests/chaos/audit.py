"""Records of an API server's audit log, as far as they are judged: what was written, by whom, and what came of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Record:
    """One write that the API server took."""

    at: datetime
    """When the API server got it."""
    who: str
    """Name of the user."""
    agent: str
    """What the client calls itself; of a controller manager's controllers, which of them it is."""
    manager: str
    """The field manager that the request names."""
    verb: str
    resource: str
    """Plural; with its subresource where one was written, for example ``llmendpoints/status``."""
    namespace: str
    name: str
    body: dict[str, Any] = field(default_factory=dict)
    """The object as stored; empty for kinds of which only the request is written down."""

    @property
    def version(self) -> int | None:
        """Its place in the order of all writes; None where no object came back."""
        found = self.body.get("metadata", {}).get("resourceVersion")
        return int(found) if found else None

    @property
    def says(self) -> str:
        """When, what and who, for a sentence."""
        when = self.at.strftime("%H:%M:%S.%f")[:-3]
        return f"{when} {self.verb} of {self.resource} {self.namespace}/{self.name} by {self.who} ({self.agent})"


def writes(events: Iterable[Mapping[str, Any]]) -> list[Record]:
    """Those that succeeded, in the order in which they were stored."""
    records = [record for event in events if (record := _record(event))]
    return sorted(records, key=_Order())


class _Order:
    """Records end up in the log when they are answered; those with a version say themselves which came first."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self, record: Record) -> int:
        self._last = max(self._last, record.version or 0)
        return record.version or self._last


def _record(event: Mapping[str, Any]) -> Record | None:
    target = event.get("objectRef", {})
    code = event.get("responseStatus", {}).get("code", 500)
    if event["stage"] != "ResponseComplete" or code >= 300 or "dryRun=" in event["requestURI"]:
        return None
    body = event.get("responseObject", {})
    parts = (target.get("resource", ""), target.get("subresource"))
    return Record(
        at=datetime.fromisoformat(event["requestReceivedTimestamp"]),
        who=event["user"]["username"],
        agent=_agent(event.get("userAgent", "")),
        manager="".join(parse_qs(urlsplit(event["requestURI"]).query).get("fieldManager", [])),
        verb=event["verb"],
        resource="/".join(filter(None, parts)),
        namespace=target.get("namespace", ""),
        name=target.get("name") or body.get("metadata", {}).get("name", ""),
        body=body if body.get("kind") not in {None, "Status"} else {},
    )


def _agent(named: str) -> str:
    controller = named.rpartition("/")[2]
    return controller if controller.startswith("system:serviceaccount:") else named.partition(" ")[0]
