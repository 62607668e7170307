"""A control plane that is away for a while: in the midst of a scale-out, and in the midst of a scale-in."""

import time

import pytest

from chaos.site import LEAST, MOST, Site

pytestmark = pytest.mark.apiserver


@pytest.fixture
def away(request: pytest.FixtureRequest) -> float:
    """Seconds."""
    return float(request.config.getoption("chaos_away"))


def test_an_api_server_that_takes_requests_and_answers_none(site: Site, away: float) -> None:
    site.load()
    site.await_replicas(LEAST + 1)
    with site.component("kube-apiserver").paused():
        time.sleep(away)
    site.await_replicas(MOST)
    site.load(0)
    site.await_replicas(MOST - 1)
    with site.component("kube-apiserver").paused():
        time.sleep(away)
    site.await_replicas(LEAST)


@pytest.mark.parametrize(("component", "share"), [("kube-apiserver", 1.0), ("etcd", 0.25)])
def test_a_part_that_is_killed_and_comes_back(site: Site, away: float, component: str, share: float) -> None:
    site.load()
    site.await_replicas(LEAST + 1)
    with site.without(component):
        time.sleep(share * away)
    site.await_replicas(MOST)
    with site.without(component):
        site.load(0)  # what the scaler decides meanwhile it can not write
        time.sleep(share * away)
    site.await_replicas(LEAST)
