"""A control plane that is away for a while: in the midst of a scale-out, and in the midst of a scale-in."""

import time

import pytest

from chaos.site import LEAST, MOST, NAMESPACE, Site
from support.endpoints import replicas
from support.kube import eventually

pytestmark = pytest.mark.apiserver


@pytest.fixture
def away(request: pytest.FixtureRequest) -> float:
    """Seconds."""
    return float(request.config.getoption("chaos_away"))


def await_order_other_than(count: int, site: Site) -> None:
    """Wait until scaling has begun. No count in between lasts so long that it is sure to be seen."""
    eventually(lambda: replicas(site.cluster, NAMESPACE) != count)


def test_an_api_server_that_takes_requests_and_answers_none(site: Site, away: float) -> None:
    site.load()
    await_order_other_than(LEAST, site)
    with site.component("kube-apiserver").paused():
        time.sleep(away)
    site.await_replicas(MOST)
    site.load(0)
    await_order_other_than(MOST, site)
    with site.component("kube-apiserver").paused():
        time.sleep(away)
    site.await_replicas(LEAST)


@pytest.mark.parametrize(("component", "share"), [("kube-apiserver", 1.0), ("etcd", 0.25)])
def test_a_part_that_is_killed_and_comes_back(site: Site, away: float, component: str, share: float) -> None:
    site.load()
    await_order_other_than(LEAST, site)
    with site.without(component):
        time.sleep(share * away)
    site.await_replicas(MOST)
    with site.without(component):
        site.load(0)  # what the scaler decides meanwhile it can not write
        time.sleep(share * away)
    site.await_replicas(LEAST)
