"""An API server with one Lease, and processes that take part in the election, with clocks that the test moves."""

from dataclasses import dataclass, replace

from llmendpoint.election.candidate import Candidate, Pace
from llmendpoint.election.lease import Claim, Lease

PACE = Pace(duration=10.0, deadline=8.0, retry=1.0)


@dataclass
class Server:
    """The Lease as the API server keeps it."""

    lease: Lease | None = None
    writes: int = 0

    def take(self, claim: Claim) -> Lease | None:
        """Store a claim. None: its precondition does not hold."""
        if claim.replaces != (self.lease.version if self.lease else ""):
            return None
        self.writes += 1
        self.lease = Lease(str(self.writes), claim.holder, claim.duration, claim.acquired, claim.transitions)
        return self.lease


@dataclass
class Machine:
    """A process with a clock of its own.

    Args:
        rate: how fast its clock goes.
    """

    candidate: Candidate
    rate: float = 1.0
    offset: float = 0.0
    asked: float | None = None
    """When its request was sent, by its own clock; None while it has none open."""
    claim: Claim | None = None
    """What the open request writes; None: it reads."""
    answer: Lease | None = None
    is_answered: bool = False

    def clock(self, now: float) -> float:
        return self.offset + now * self.rate

    def at(self, clock: float) -> float:
        """When its clock says that."""
        return (clock - self.offset) / self.rate

    def leads(self, now: float) -> bool:
        return self.candidate.leads(self.clock(now))

    def send(self, now: float) -> None:
        """Begin a request, as the elector would."""
        at = self.clock(now)
        self.claim, self.asked, self.is_answered = self.candidate.claim(at), at, False
        if self.claim:
            self.candidate = self.candidate.unsure()

    def arrive(self, server: Server) -> None:
        """The server works on the open request."""
        self.is_answered = True
        self.answer = server.take(self.claim) if self.claim else server.lease

    def receive(self, now: float) -> None:
        """The answer is there."""
        at = self.clock(now)
        if self.claim is None:
            self.candidate = self.candidate.saw(self.answer, at)
        elif self.answer and self.asked is not None:
            self.candidate = self.candidate.won(self.answer, self.asked, at)
        self.forget()

    def forget(self) -> None:
        """The request is given up."""
        self.asked, self.claim, self.is_answered = None, None, False


def candidate(name: str, pace: Pace = PACE) -> Candidate:
    return Candidate(name, pace)


def leader(name: str = "a", at: float = 0.0, pace: Pace = PACE) -> tuple[Candidate, Lease]:
    """One that took the lease, at once."""
    asking = candidate(name, pace).saw(None, at)
    claim = asking.claim(at)
    assert claim
    lease = Server().take(claim)
    assert lease
    return asking.won(lease, at, at), lease


def renewed(lease: Lease, holder: str | None = None) -> Lease:
    """The lease after another write."""
    return replace(lease, version=f"{lease.version}+", holder=lease.holder if holder is None else holder)
