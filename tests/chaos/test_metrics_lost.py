"""Engines of which nothing can be known: unknown is not idle."""

import time

import pytest

from chaos.engines import Answers
from chaos.site import LEAST, MOST, NAMESPACE, Site
from support.endpoints import condition
from support.kube import eventually

pytestmark = pytest.mark.apiserver
WAYS: tuple[Answers, ...] = ("nothing", "refuses", "late", "without metrics", "nonsense")
UNKNOWN_SECONDS = 4.0


def test_nothing_scales_in_while_nothing_is_known(site: Site) -> None:
    def says(reason: str) -> bool:
        return bool(condition(site.cluster, NAMESPACE, "MetricsAvailable")["reason"] == reason)

    site.load()
    site.await_replicas(MOST)
    site.fleet.answers = WAYS[0]
    with site.forbidden("in", "no engine could be read"):
        eventually(lambda: says("MetricsUnknown"))
        site.load(0)
        for way in WAYS:
            site.fleet.answers = way
            time.sleep(UNKNOWN_SECONDS)
            assert says("MetricsUnknown"), way
    site.fleet.answers = "well"
    site.await_replicas(LEAST)


def test_nothing_scales_in_while_one_engine_can_not_be_read(site: Site) -> None:
    site.load()
    site.await_replicas(MOST)
    pods = site.pods("engine")
    site.fleet.silent = frozenset({pods[0]["status"]["podIP"]})
    with site.forbidden("in", "one engine could not be read"):
        eventually(lambda: condition(site.cluster, NAMESPACE, "MetricsAvailable")["reason"] == "MetricsPartial")
        site.load(0)
        time.sleep(2 * UNKNOWN_SECONDS)
    site.fleet.silent = frozenset()
    site.await_replicas(LEAST)
