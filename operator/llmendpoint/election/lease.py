"""The Lease that the replicas of the operator share, as data: what is read of it and what is written to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

API_VERSION = "coordination.k8s.io/v1"
KIND = "Lease"


@dataclass(frozen=True)
class Lease:
    """A Lease as it was read."""

    version: str
    """Its resource version: it differs after each write, whoever wrote. Empty: it is known to be gone."""
    holder: str = ""
    """Who holds it. Empty: nobody, it was released."""
    duration: float | None = None
    """Seconds without a write after which others may take it; None where it does not say."""
    acquired: str | None = None
    transitions: int = 0

    @classmethod
    def from_object(cls, body: Mapping[str, Any]) -> "Lease":
        """Read one as the API server has it. A Lease without a spec is nobody's."""
        spec = body.get("spec") or {}
        return cls(
            version=body["metadata"]["resourceVersion"],
            holder=spec.get("holderIdentity") or "",
            duration=float(spec["leaseDurationSeconds"]) if spec.get("leaseDurationSeconds") else None,
            acquired=spec.get("acquireTime"),
            transitions=spec.get("leaseTransitions") or 0,
        )


@dataclass(frozen=True)
class Claim:
    """What is to be written to the Lease."""

    replaces: str
    """The resource version that it must still have; empty where it is to be created."""
    holder: str
    duration: float
    acquired: str | None
    """When the holder became it; None: with this write."""
    transitions: int

    def to_object(self, namespace: str, name: str, now: float) -> dict[str, Any]:
        """The manifest. ``now``, in Unix seconds, is for people to read: nobody decides by another's clock."""
        at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"namespace": namespace, "name": name}
            | ({"resourceVersion": self.replaces} if self.replaces else {}),
            "spec": {
                "holderIdentity": self.holder,
                "leaseDurationSeconds": round(self.duration),
                "acquireTime": self.acquired or at,
                "renewTime": at,
                "leaseTransitions": self.transitions,
            },
        }
