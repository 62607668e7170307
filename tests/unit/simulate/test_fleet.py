"""The fleet: who is started, who goes first, and what is paid for."""

import math
from statistics import median

import pytest

from llmendpoint.scaling.signals import PodPhase
from llmendpoint.simulate.fleet import COLD_START_CV, ColdStarts, Fleet, Replica


def fleet(ready: int = 2, *, cold_start: float = 100.0, cv: float = 0.0, schedulable: int = 100) -> Fleet:
    made = Fleet(ColdStarts(cold_start, cv=cv), schedulable=schedulable)
    made.warm_start(ready)
    return made


def idle(_: Replica) -> int:
    return 0


def phases(of: Fleet) -> list[str]:
    return [replica.phase.value for replica in of.replicas]


def test_a_warm_start_is_ready_at_once() -> None:
    assert phases(fleet(3)) == ["ready"] * 3


def test_an_ordered_replica_is_ready_after_its_cold_start() -> None:
    some = fleet(1)
    some.order(2, 10.0, idle)
    assert (phases(some), some.next_ready) == (["ready", "starting"], 110.0)
    assert some.become_ready(109.9) == []
    assert [replica.name for replica in some.become_ready(110.0)] == ["engine-1"]
    assert some.replicas[1].ready_since == 110.0
    assert some.next_ready == math.inf


def test_a_scale_in_takes_what_starts_first_and_then_the_least_loaded() -> None:
    some = fleet(3)
    some.order(4, 0.0, idle)
    load = {"engine-0": 5, "engine-1": 2, "engine-2": 7}
    some.order(2, 10.0, lambda replica: load.get(replica.name, 0))
    assert [(replica.name, replica.phase.value) for replica in some.replicas] == [
        ("engine-0", "ready"),
        ("engine-1", "draining"),
        ("engine-2", "ready"),
    ]


def test_a_replica_is_paid_from_placement_to_its_last_request() -> None:
    some = fleet(2)
    some.order(1, 50.0, idle)
    draining = some.of(PodPhase.DRAINING)
    some.drained([(replica, 60.0) for replica in draining], 65.0)
    some.order(2, 70.0, idle)
    assert some.paid_seconds(100.0) == pytest.approx(100.0 + 60.0 + 30.0)


def test_replicas_beyond_the_cluster_wait_for_a_node_unpaid() -> None:
    some = fleet(2, schedulable=3)
    some.order(5, 10.0, idle)
    counts = some.counts(40.0)
    assert (counts.ready, counts.starting, counts.unschedulable, counts.oldest_unschedulable_age) == (2, 1, 2, 30.0)
    assert some.paid_seconds(40.0) == pytest.approx(2 * 40.0 + 30.0)
    some.order(4, 50.0, idle)
    assert some.counts(50.0).unschedulable == 1, "what no node took is given up first"


def test_a_node_that_becomes_free_is_given_to_the_oldest_that_waits() -> None:
    some = fleet(2, schedulable=2)
    some.order(1, 0.0, idle)
    some.order(2, 10.0, idle)
    assert phases(some) == ["ready", "draining", "unschedulable"]
    some.drained([(some.replicas[1], 20.0)], 25.0)
    assert phases(some) == ["ready", "starting"]
    assert some.next_ready == 125.0


def test_a_crashed_replica_starts_again_in_its_pod_and_stays_paid() -> None:
    some = fleet(1)
    some.crash(some.replicas[0], 30.0)
    assert (phases(some), some.next_ready, some.replicas[0].restarts) == (["starting"], 130.0, 1)
    assert some.paid_seconds(130.0) == 130.0


def test_slots_are_used_again() -> None:
    some = fleet(3)
    some.order(2, 0.0, idle)
    gone = some.of(PodPhase.DRAINING)[0]
    some.drained([(gone, 0.0)], 0.0)
    some.order(3, 1.0, idle)
    assert sorted(replica.slot for replica in some.replicas) == [0, 1, 2]


def test_start_times_are_lognormal_around_their_median_and_seeded() -> None:
    law = ColdStarts(100.0, seed=7)
    drawn = [law.draw() for _ in range(4000)]
    assert median(drawn) == pytest.approx(100.0, rel=0.02)
    mean = sum(drawn) / len(drawn)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in drawn) / len(drawn))
    assert deviation / mean == pytest.approx(COLD_START_CV, rel=0.05)
    assert ColdStarts(100.0, seed=7).draw() == drawn[0]
