"""A clock that is set by an hour, to and fro, while an operator counts its cooldowns and windows by it."""

import time
from itertools import cycle, pairwise
from random import Random

import pytest

from chaos.site import COOLDOWN_SECONDS, LEAST, LONGEST, MOST, Site
from support.kube import eventually

pytestmark = pytest.mark.apiserver
HOUR = 3600
HOLD_SECONDS = 20


def test_a_clock_that_is_set_ends_neither_hold_nor_cooldown(site: Site, chance: Random) -> None:
    offsets = cycle((HOUR, 0, HOUR // 2, HOUR, 0))

    def set_once() -> None:
        site.set_clock(next(offsets))
        time.sleep(chance.uniform(2.0, 4.0))  # rates need two readings by the same clock

    def set_for(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            set_once()

    def has_scaled_in() -> bool:
        set_once()
        return len(site.scale_ins()) == MOST - LEAST

    site.apply(hold_seconds=HOLD_SECONDS)
    site.load()
    site.await_replicas(MOST)
    set_for(8)
    site.load(0)
    with site.forbidden("in", f"the load fell less than {HOLD_SECONDS} s ago"):
        set_for(HOLD_SECONDS - 8)  # the last time takes up to 4 s, and the load was last seen a tick before it fell
    eventually(has_scaled_in, LONGEST)
    site.await_replicas(LEAST)
    # A decision is written within a part of the cooldown, and one that did not wait would follow after a tick of 1 s.
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(site.scale_ins())]
    assert min(gaps) > COOLDOWN_SECONDS / 2, gaps
