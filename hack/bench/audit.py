"""What each contender asks of the API server, by verb and resource, as the API server's own audit log has it."""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from bench.preparation import NAMESPACE
from localcluster import auditlog

ACCOUNT = f"system:serviceaccount:{NAMESPACE}:"
WRITES = ("create", "update", "patch", "delete", "deletecollection")
# A watch is counted when it begins, anything else when it has ended.
STAGES = {"watch": "ResponseStarted"}


class Audit:
    """Reads the log as it grows."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read_to = 0
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)

    def requests(self, account: str) -> Counter[str]:
        """Requests of a service account so far, by "verb resource"."""
        events, self._read_to = auditlog.read(self._log, self._read_to)
        for event in events:
            self._take(event)
        return Counter(self._counts[account])

    def _take(self, event: dict[str, Any]) -> None:
        verb = event["verb"]
        if event["stage"] != STAGES.get(verb, "ResponseComplete"):
            return
        asked = event.get("objectRef", {})
        parts = (asked.get("resource", event["requestURI"].partition("?")[0]), asked.get("subresource"))
        self._counts[event["user"]["username"].removeprefix(ACCOUNT)][f"{verb} {'/'.join(filter(None, parts))}"] += 1


def writes(requests: Counter[str]) -> int:
    """Writes, but those of leases and events."""
    return sum(
        count for what, count in requests.items() if what.startswith(WRITES) and not what.endswith(("leases", "events"))
    )


def questions(requests: Counter[str]) -> int:
    """All that has an end: watches and the leader's lease, which go on for ever, are left out."""
    return sum(count for what, count in requests.items() if not what.startswith("watch ") and "leases" not in what)
