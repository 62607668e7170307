"""The election: who may claim the lease, until when a leader may write, and that there are never two of them."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmendpoint.election.lease import Claim, Lease
from support.elections import PACE, Machine, Server, candidate, leader, renewed

FOREIGN = Lease("7", "b", 10.0, "2026-01-01T00:00:00.000000Z", 4)


def claimed(lease: Lease | None, *, after: float = 0.0, name: str = "a") -> Claim | None:
    """What one writes that saw this lease some seconds ago."""
    return candidate(name).saw(lease, 100.0).claim(100.0 + after)


def test_where_there_is_no_lease_it_is_created() -> None:
    assert claimed(None) == Claim("", "a", 10.0, acquired=None, transitions=0)


@pytest.mark.parametrize(
    ("what", "lease", "after", "claim"),
    [
        ("held by another", FOREIGN, 9.9, None),
        ("not renewed in its duration", FOREIGN, 10.0, Claim("7", "a", 10.0, None, 5)),
        ("its holder promised another duration", replace(FOREIGN, duration=30.0), 29.0, None),
        ("that other duration is over", replace(FOREIGN, duration=30.0), 30.0, Claim("7", "a", 10.0, None, 5)),
        ("it names no duration", replace(FOREIGN, duration=None), 9.9, None),
        ("released", replace(FOREIGN, holder=""), 0.0, Claim("7", "a", 10.0, None, 5)),
        ("made empty beforehand", Lease("7"), 0.0, Claim("7", "a", 10.0, None, 1)),
        (
            "its own claim, whose answer was lost",
            replace(FOREIGN, holder="a"),
            0.0,
            Claim("7", "a", 10.0, FOREIGN.acquired, 4),
        ),
    ],
)
def test_a_standby_claims(what: str, lease: Lease, after: float, claim: Claim | None) -> None:
    assert claimed(lease, after=after) == claim


def test_each_renewal_that_is_seen_starts_the_wait_anew() -> None:
    waiting = candidate("a").saw(FOREIGN, 0.0).saw(renewed(FOREIGN), 9.0)
    assert waiting.saw(renewed(FOREIGN), 18.0).claim(18.0) is None
    assert waiting.saw(renewed(FOREIGN), 19.0).claim(19.0)


def test_a_lease_that_is_deleted_keeps_its_holder_until_that_one_must_have_stopped() -> None:
    waiting = candidate("a").saw(FOREIGN, 0.0).saw(None, 5.0)
    assert waiting.claim(9.9) is None
    assert waiting.claim(10.0) == Claim("", "a", 10.0, acquired=None, transitions=5)


def test_a_leader_makes_its_lease_anew_when_it_is_deleted() -> None:
    leading, lease = leader()
    claim = leading.saw(None, 2.0).claim(2.0)
    assert claim == Claim("", "a", 10.0, lease.acquired, 0)


def test_nothing_is_claimed_unseen_or_twice() -> None:
    assert candidate("a").claim(0.0) is None
    assert candidate("a").saw(None, 0.0).unsure().claim(0.0) is None


def test_a_leader_may_write_until_its_deadline_from_when_it_asked() -> None:
    claim = candidate("a").saw(None, 0.0)
    leading = claim.won(Lease("1", "a", 10.0), asked=1.0, now=3.0)
    assert leading.leads(8.9)
    assert not leading.leads(9.0)


def test_a_renewal_moves_the_deadline() -> None:
    leading, lease = leader()
    assert leading.won(renewed(lease), asked=2.0, now=2.1).leads(9.9)


@pytest.mark.parametrize(
    ("what", "stored", "asked", "now"),
    [
        ("it changed nothing", "1", 2.0, 2.0),
        ("it was answered after the deadline", "1+", 7.0, 8.0),
        ("its answer took longer than it holds", "1+", 7.0, 20.0),
    ],
)
def test_a_renewal_does_not_count(what: str, stored: str, asked: float, now: float) -> None:
    leading, lease = leader()
    renewal = leading.won(replace(lease, version=stored), asked, now)
    assert not renewal.leads(max(now, 8.0))


def test_a_claim_whose_answer_takes_too_long_does_not_lead_and_is_repeated() -> None:
    slow = candidate("a").saw(None, 0.0).won(Lease("1", "a", 10.0), asked=0.0, now=8.0)
    assert not slow.leads(8.0)
    assert not slow.is_over(8.0)
    assert slow.claim(8.0)


def test_who_has_led_never_claims_again() -> None:
    leading, lease = leader()
    late = leading.saw(lease, 8.0)
    assert late.is_over(8.0)
    assert late.claim(8.0) is None


@pytest.mark.parametrize("holder", ["b", ""])
def test_a_leader_that_sees_the_lease_in_other_hands_stops_at_once(holder: str) -> None:
    leading, lease = leader()
    deposed = leading.saw(renewed(lease, holder), 1.0)
    assert not deposed.leads(1.0)
    assert deposed.claim(1.0) is None


def test_only_the_holder_releases() -> None:
    leading, _ = leader()
    assert leading.release() == Claim("1", "", 10.0, None, 0)
    assert candidate("a").release() is None
    assert candidate("a").saw(FOREIGN, 0.0).release() is None
    assert leading.saw(None, 1.0).release() is None


def test_a_leader_renews_half_as_often_as_a_standby_looks_and_repeats_what_failed_sooner() -> None:
    leading, _ = leader()
    assert leading.pause(0.0) == 2.0
    assert leading.unsure().pause(0.0) == 1.0
    assert candidate("a").saw(FOREIGN, 0.0).pause(0.0) == 1.0


def test_the_lease_reads_as_kubernetes_writes_it() -> None:
    claim = Claim("7", "a", 10.0, acquired=None, transitions=3)
    body: dict[str, Any] = claim.to_object("system", "operator", now=1_767_225_600.5)
    assert body == {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"namespace": "system", "name": "operator", "resourceVersion": "7"},
        "spec": {
            "holderIdentity": "a",
            "leaseDurationSeconds": 10,
            "acquireTime": "2026-01-01T00:00:00.500000Z",
            "renewTime": "2026-01-01T00:00:00.500000Z",
            "leaseTransitions": 3,
        },
    }
    assert Lease.from_object(body) == Lease("7", "a", 10.0, "2026-01-01T00:00:00.500000Z", 3)
    assert Lease.from_object({"metadata": {"resourceVersion": "1"}}) == Lease("1")


# What can happen to one of three machines.
ROUND, SEND, ARRIVE, RECEIVE, GIVE_UP, KILL, RESIGN = "round", "send", "arrive", "receive", "give up", "kill", "resign"
# What can happen to all.
STRAY, DELETE = "stray", "delete"
# When it can happen.
LAST_MOMENT, EXPIRY = "last moment", "expiry"
MOVES = st.tuples(
    st.sampled_from([ROUND] * 6 + [SEND, ARRIVE, RECEIVE] * 3 + [GIVE_UP, KILL, RESIGN, STRAY, DELETE]),
    st.sampled_from([0, 0, 1, 2]),
    # Mostly soon, and at times when it matters: a leader may write for a moment more, or a standby has waited enough.
    st.sampled_from([0.0, 0.0, 0.1, 1.0, 1.0, 2.0, LAST_MOMENT, LAST_MOMENT, EXPIRY, EXPIRY, 60.0]),
)
A_MOMENT = 0.001
RATES = st.lists(st.sampled_from([0.9, 1.0, 1.1]), min_size=3, max_size=3)


class World:
    """Machines whose clocks differ in time and speed, one API server, and a network that delays, loses and repeats."""

    def __init__(self, rates: list[float]) -> None:
        self.server = Server()
        self.machines = [
            Machine(candidate(f"{index}"), rate, offset=1000.0 * index) for index, rate in enumerate(rates)
        ]
        self.strays: list[Claim] = []
        self.now = 0.0
        self.processes = len(rates)

    def move(self, what: str, index: int, when: float | str) -> None:
        self.now = max(self.now, self._moment(when))
        machine = self.machines[index]
        if what == DELETE:
            # A process that has not seen the lease can not know that there was one: such a one is left out.
            if all(one.candidate.lease for one in self.machines):
                self.server.lease = None
        elif what == STRAY:
            for claim in self.strays:
                self.server.take(claim)
            self.strays.clear()
        elif what in {KILL, RESIGN}:
            self._lose_request(machine)
            if what == RESIGN and (release := machine.candidate.release()):
                self.strays.append(release)
            self.machines[index] = Machine(candidate(f"{self.processes}"), machine.rate, machine.offset)
            self.processes += 1
        elif what == GIVE_UP:
            self._lose_request(machine)
        else:
            for step in (SEND, ARRIVE, RECEIVE) if what == ROUND else (what,):
                self._request(machine, step)

    def leaders(self) -> list[str]:
        return [machine.candidate.identity for machine in self.machines if machine.leads(self.now)]

    def _moment(self, when: float | str) -> float:
        known = [machine for machine in self.machines if machine.candidate.lease]
        if isinstance(when, float):
            return self.now + when
        if when == LAST_MOMENT:
            ends = [machine.at(machine.candidate.until) for machine in known if machine.candidate.until is not None]
            return max(ends, default=self.now) - A_MOMENT
        expiries = [machine.at(machine.candidate.since + PACE.duration) for machine in known]
        return min((moment for moment in expiries if moment > self.now), default=self.now) + A_MOMENT

    def _request(self, machine: Machine, step: str) -> None:
        if step == SEND and machine.asked is None:
            machine.send(self.now)
        elif step == ARRIVE and machine.asked is not None and not machine.is_answered:
            machine.arrive(self.server)
        elif step == RECEIVE and machine.is_answered:
            machine.receive(self.now)

    def _lose_request(self, machine: Machine) -> None:
        if machine.claim and not machine.is_answered:
            self.strays.append(machine.claim)  # it may still arrive
        machine.forget()


ALL_LOOK = [(ROUND, index, 0.0) for index in (0, 0, 1, 2)]  # the first one claims at its second turn


@settings(max_examples=200)
@example(
    # A renewal is seen by a standby long before the leader has its answer.
    moves=[
        *ALL_LOOK,
        *((SEND, 0, 1.0), (ARRIVE, 0, 0.0), (ROUND, 1, 0.0), (ROUND, 2, 0.0), (RECEIVE, 0, 5.0)),
        (ROUND, 1, EXPIRY),
    ],
    rates=[1.0, 1.0, 1.0],
)
@example(
    # The lease is deleted, and a standby sees that before the leader does.
    moves=[*ALL_LOOK, (DELETE, 0, 0.0), (ROUND, 1, 0.0), (ROUND, 1, 0.0)],
    rates=[1.0, 1.0, 1.0],
)
@example(
    # The clock of the leader is slow, and that of the standby fast.
    moves=[*ALL_LOOK, (ROUND, 0, 2.0), (ROUND, 1, 0.0), (ROUND, 1, EXPIRY)],
    rates=[0.9, 1.1, 1.0],
)
@given(moves=st.lists(MOVES, min_size=20, max_size=120), rates=RATES)
def test_there_are_never_two_leaders(moves: list[tuple[str, int, float | str]], rates: list[float]) -> None:
    world = World(rates)
    for move in moves:
        world.move(*move)
        assert len(world.leaders()) <= 1
