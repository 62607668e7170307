"""An operator that is killed at any point of what it does, again and again."""

import time
from random import Random

import pytest

from chaos.engines import BUSY
from chaos.site import Site

pytestmark = pytest.mark.apiserver
LONGEST_SECONDS = 3.0


def test_an_operator_that_is_killed_leaves_nothing_behind(
    site: Site, chance: Random, request: pytest.FixtureRequest
) -> None:
    for _ in range(int(request.config.getoption("chaos_kills"))):
        if chance.random() < 0.8:
            site.operator.await_ready()
        match chance.choice(["load", "load", "roll-out"]):
            case "load":
                site.load(chance.choice([0, BUSY]))
            case "roll-out":
                site.apply(f"--seed={chance.randrange(3)}")
        time.sleep(chance.uniform(0.0, LONGEST_SECONDS))
        site.kill_operator()
        site.start_operator()
