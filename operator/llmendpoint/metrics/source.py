"""What every source of engine metrics gives: one reading per pod, or why there is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from llmendpoint.api.scaling import Scaling
from llmendpoint.api.serving import EngineType
from llmendpoint.scaling.signals import EngineSample


def host_port(ip: str, port: int) -> str:
    """A pod's address as URLs have it, IPv6 in brackets."""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


@dataclass(frozen=True)
class PodTarget:
    """A ready engine pod to be read."""

    name: str
    address: str
    """host:port"""


@dataclass(frozen=True)
class EndpointTarget:
    """An endpoint whose pods are to be read."""

    namespace: str
    name: str
    engine: EngineType
    scaling: Scaling
    pods: Sequence[PodTarget]


@dataclass(frozen=True)
class EndpointReading:
    """Samples by pod, reasons by pod where there is none, and the same of the PromQL targets."""

    samples: Mapping[str, EngineSample] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    custom: tuple[float | None, ...] = ()
    """Values of the PromQL targets, in the order of scaling.targets; None for those of other types."""
    unanswered: tuple[str, ...] = ()
    """Why PromQL targets have no value."""


class MetricsSource(Protocol):
    """Reads many endpoints at once."""

    async def read(self, targets: Sequence[EndpointTarget]) -> list[EndpointReading]:
        """One reading per target, in the same order. Never raises: what could not be read says why."""
        ...
