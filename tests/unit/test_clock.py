"""A machine's clock that is set while the operator runs: nothing has passed by that, and nothing lasts longer."""

from dataclasses import dataclass, replace

import pytest

from llmendpoint.api.endpoint import Endpoint
from llmendpoint.metrics.exporter import Exporter
from llmendpoint.reconcile.observation import observe
from llmendpoint.runtime.clock import Clock
from llmendpoint.runtime.memory import Memories, Memory
from llmendpoint.runtime.queue import WorkQueue
from llmendpoint.runtime.store import Key
from llmendpoint.runtime.tick import Ticker
from llmendpoint.scaling.cooldown import scale_in_until
from llmendpoint.scaling.record import epoch
from support.builders import NOW
from support.ticks import Fast, no_quotas, stored

HOUR = 3600.0
KEY = Key("team", "llama")


@dataclass
class Machine:
    """Its clock can be set; what it counts since its start can not."""

    wall: float = NOW
    up: float = 500.0

    def wait(self, seconds: float) -> None:
        self.wall += seconds
        self.up += seconds

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.wall, lambda: self.up)


def test_a_clock_goes_on_between_two_looks_and_tells_when_it_was_set() -> None:
    machine = Machine()
    clock = machine.clock
    machine.wait(10.0)
    assert clock() == NOW + 10.0
    machine.wall += HOUR
    assert clock() == NOW + 10.0
    assert clock.follow() == HOUR
    assert (clock(), clock.follow()) == (NOW + 10.0 + HOUR, 0.0)


def test_what_ntp_corrects_is_followed_in_silence() -> None:
    machine = Machine()
    clock = machine.clock
    machine.wall += 0.4
    assert clock.follow() == 0.0
    assert clock() == pytest.approx(NOW + 0.4)


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
async def test_a_jump_ends_no_cooldown_or_hold_and_makes_none_longer(jump: float) -> None:
    machine, memories = Machine(), Memories()
    clock = machine.clock
    store = stored(llama={"maxReplicas": 4, "scaleIn": {"cooldownSeconds": 60}})
    queue: WorkQueue[Key] = WorkQueue()
    ticker = Ticker(
        store=store, memories=memories, queue=queue, sources={"Pods": Fast(clock)}, exporter=Exporter(),
        quotas=no_quotas, period=10.0, clock=clock,
    )  # fmt: skip

    def memory() -> Memory:
        body = store.endpoint(KEY)
        assert body
        return memories.of(KEY, observe(Endpoint.from_object(body), store.children(KEY), store.pods(KEY)), clock())

    await ticker.tick()
    machine.wait(10.0)
    await ticker.tick()
    known = memory()
    known.state = replace(known.state, scale_in_at=clock(), last_scale_in_at=clock())
    used, hold = known.account.held.gpu_seconds, known.state.hold
    assert known.scaling
    assert known.scaling.decision
    said = epoch(known.scaling.decision.time)
    queue.done(await queue.get())
    machine.wall += jump
    machine.wait(10.0)
    await ticker.tick()
    assert scale_in_until(known.state, 60, clock()) == pytest.approx(clock() + 50.0)
    assert known.account.held.gpu_seconds <= used + 10.0 * 8
    assert known.state.hold[0][0] == pytest.approx(hold[0][0] + jump)
    # The status is told anew, or what counts on from it counts the jump.
    assert (known.is_moved, len(queue)) == (True, 1)
    assert epoch(known.scaling.decision.time) >= said + jump
    assert epoch(known.scaling.decision.time) <= clock()
