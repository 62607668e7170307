"""One site for all of chaos, and what an endpoint looks like in the end that nobody disturbed."""

import os
import sys
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from chaos.site import LEAST, MOST, Site
from chaos.state import differences
from localcluster.cluster import USER_CLUSTER
from support.kube import eventually

SETTLED_SECONDS = 120.0


@pytest.fixture(scope="session")
def open_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if os.environ.get(USER_CLUSTER):
        pytest.skip("a control plane is taken away here, which must not be the user's own")
    if sys.platform != "linux":
        pytest.skip("all of 127.0.0.0/8 has to be this machine, which is so on Linux")
    with Site.opened(tmp_path_factory.mktemp("chaos")) as site:
        yield site


@pytest.fixture(scope="session")
def undisturbed(open_site: Site) -> dict[str, Any]:
    """The end state after a scale-out, roll-outs and a scale-in in peace."""
    site = open_site
    site.enter()
    site.load()
    site.await_replicas(MOST)
    site.apply("--seed=1")
    site.await_replicas(MOST)
    site.load(0)
    site.await_replicas(LEAST)
    site.apply()
    site.await_replicas(LEAST)

    def still() -> dict[str, Any]:
        state = site.end_state()
        assert list(state["pods"].values()) == [pod for pod in state["pods"].values() if "Ready True" in pod]
        assert state["conditions"]["Progressing"] == "False Settled"
        return state

    state: dict[str, Any] = eventually(still, SETTLED_SECONDS)
    assert_all_was_right(site)
    site.leave()
    return state


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> Random:
    """The same for the same seed, in each test."""
    return Random(f"{request.config.getoption('chaos_seed')} {request.node.name}")


@pytest.fixture
def site(open_site: Site, undisturbed: dict[str, Any]) -> Iterator[Site]:
    """A settled endpoint with an operator. In the end it is as one that nobody disturbed, and all writes were right."""
    site = open_site
    try:
        site.enter()
        yield site
        site.load(0)
        site.apply()

        def is_as_undisturbed() -> bool:
            found = list(differences(site.end_state(), undisturbed))
            assert not found, "; ".join(found)
            return True

        eventually(is_as_undisturbed, SETTLED_SECONDS)
        assert_all_was_right(site)
    finally:
        site.leave()


def assert_all_was_right(site: Site) -> None:
    count, wrong = site.violations()
    print(f"{count} writes looked at, {site.kills} operators killed so far")
    assert not wrong, "\n".join(wrong)
