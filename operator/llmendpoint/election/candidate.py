"""One replica's part in the election: when it may claim the lease, and until when it may write after it did.

Clocks of two machines are never compared. A standby counts from when it *has seen* the lease change; the leader counts
from when it *began to ask* for the change, and stops earlier than the standby may begin. Whatever the network does in
between, the leader's count starts first.
"""

import math
from dataclasses import dataclass, replace

from llmendpoint.election.lease import Claim, Lease


@dataclass(frozen=True)
class Pace:
    """The times of an election, in seconds."""

    duration: float
    """A lease that nobody has written for so long may be taken."""
    deadline: float
    """A leader that has not renewed for so long stops."""
    retry: float
    """Pause of a standby between two looks, and of a leader after a renewal that failed."""

    @property
    def renew(self) -> float:
        """Pause of a leader between two renewals: it writes, so it takes twice the time of a look."""
        return 2.0 * self.retry


@dataclass(frozen=True)
class Candidate:
    """What one process knows of the lease. Times are of its own clock, which never goes back.

    A process leads once: when its time has run out it stays out, even if the lease is still in its name.
    """

    identity: str
    """Unique to the process, not to the pod: a restarted container must not take itself for the holder."""
    pace: Pace
    lease: Lease | None = None
    """As last seen; None where none was ever seen."""
    since: float = -math.inf
    """When it was first seen like that."""
    until: float | None = None
    """The leader may write before this moment; None for a process that has never led."""
    is_sure: bool = False
    """Whether ``lease`` is known to be what the API server has, so that it can be written without a look."""
    is_deposed: bool = False
    """Whether the lease was seen in other hands while this process led."""

    def leads(self, now: float) -> bool:
        """Whether this process, and no other, may write now."""
        return self.until is not None and now < self.until and not self.is_deposed

    def is_over(self, now: float) -> bool:
        """Whether this process has led and may not any more."""
        return self.until is not None and not self.leads(now)

    def saw(self, lease: Lease | None, now: float) -> "Candidate":
        """The lease was read; ``now`` is when the answer was there. None: there is none."""
        if lease is None:
            # Its holder, if it had one, may not know yet that somebody deleted it: its time runs on.
            gone = replace(self.lease, version="") if self.lease else None
            return replace(self, lease=gone, is_sure=True)
        is_new = self.lease is None or lease.version != self.lease.version
        return replace(
            self,
            lease=lease,
            since=now if is_new else self.since,
            is_sure=True,
            is_deposed=self.is_deposed or (self.until is not None and lease.holder != self.identity),
        )

    def claim(self, now: float) -> Claim | None:
        """What to write: the lease is free, run out or one's own. None: it is another's, or has to be read first."""
        if not self.is_sure or self.is_over(now):
            return None
        if self.lease is None:
            return Claim("", self.identity, self.pace.duration, acquired=None, transitions=0)
        is_own = self.lease.holder == self.identity
        if self.lease.holder and not is_own and now < self._expiry(self.lease):
            return None
        return Claim(
            replaces=self.lease.version,
            holder=self.identity,
            duration=self.pace.duration,
            acquired=self.lease.acquired if is_own else None,
            transitions=self.lease.transitions + (0 if is_own else 1),
        )

    def won(self, stored: Lease, asked: float, now: float) -> "Candidate":
        """A claim was stored. ``asked`` is when it was sent, ``now`` when the answer was there."""
        known = replace(self, lease=stored, since=now, is_sure=True)
        # A write that changed nothing tells no standby that the leader lives.
        is_noop = self.lease is not None and stored.version == self.lease.version
        until = asked + self.pace.deadline
        if is_noop or now >= until or self.is_over(now):
            return known
        return replace(known, until=until)

    def unsure(self) -> "Candidate":
        """A claim was sent: without an answer nobody knows what became of it, and the lease is read before the next."""
        return replace(self, is_sure=False)

    def release(self) -> Claim | None:
        """What to write when this process has stopped writing, so that nobody has to wait. None: it is not its own."""
        if self.lease is None or not self.lease.version or self.lease.holder != self.identity:
            return None
        return Claim(self.lease.version, "", self.pace.duration, self.lease.acquired, self.lease.transitions)

    def pause(self, now: float) -> float:
        """Seconds until the next look or renewal."""
        return self.pace.renew if self.is_sure and self.leads(now) else self.pace.retry

    def _expiry(self, lease: Lease) -> float:
        # The holder stops within the duration that it has promised, which may be another one than this process's.
        return self.since + (lease.duration or self.pace.duration)
