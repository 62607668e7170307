"""Which kinds of other projects are used: those that the API server serves and the operator may list."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from llmendpoint.api import names
from llmendpoint.cluster.errors import ClusterError, Forbidden, NotFound, Unreachable
from llmendpoint.cluster.kinds import HTTP_ROUTE, INFERENCE_POOL, LEADER_WORKER_SET, OPTIONAL_CHILDREN, Kind
from llmendpoint.metrics.exporter import Exporter
from llmendpoint.runtime import served_kinds
from llmendpoint.runtime.operator import Operator
from llmendpoint.runtime.served_kinds import ServedKinds
from llmendpoint.runtime.store import Store
from llmendpoint.settings import Settings


@dataclass
class Discovery:
    """What an API server serves, and what it answers in place of a listing."""

    kinds: set[Kind] = field(default_factory=set)
    listing: ClusterError | None = None
    down: bool = False
    listed: list[tuple[Kind, str | None]] = field(default_factory=list)

    async def serves(self, kind: Kind) -> bool:
        if self.down:
            raise Unreachable("GET", status=503)
        return kind in self.kinds

    async def list(self, kind: Kind, namespace: str | None, selector: str = "") -> list[Any]:
        return []

    async def each(self, kind: Kind, namespace: str | None, selector: str = "") -> AsyncIterator[Any]:
        if kind not in OPTIONAL_CHILDREN:
            return
        assert selector == names.LABEL_ENDPOINT
        self.listed.append((kind, namespace))
        if self.listing:
            raise self.listing
        for body in ({}, {}):
            yield body


def asker(discovery: Discovery, *namespaces: str) -> tuple[ServedKinds, Store]:
    store = Store()
    return ServedKinds(discovery, store, namespaces or (None,)), store  # type: ignore[arg-type]


def test_the_names_in_the_core_are_those_of_the_kinds() -> None:
    assert {kind.kind for kind in OPTIONAL_CHILDREN} == names.OPTIONAL_KINDS


async def test_a_kind_comes_and_goes() -> None:
    discovery = Discovery()
    served, store = asker(discovery)
    assert not await served.ask()
    discovery.kinds = {HTTP_ROUTE}
    assert await served.ask()
    assert (served.kinds, store.served) == ({HTTP_ROUTE}, {"HTTPRoute"})
    assert not await served.ask()
    discovery.kinds = set()
    assert await served.ask()
    assert (served.kinds, store.served) == (set(), set())


async def test_only_a_new_kind_is_listed_in_each_namespace() -> None:
    discovery = Discovery({HTTP_ROUTE, LEADER_WORKER_SET})
    served, _ = asker(discovery, "one", "two")
    await served.ask()
    await served.ask()
    assert sorted(discovery.listed, key=str) == sorted(
        [(kind, namespace) for kind in (HTTP_ROUTE, LEADER_WORKER_SET) for namespace in ("one", "two")], key=str
    )


@pytest.mark.parametrize("refusal", [Forbidden("GET", status=403), NotFound("GET", status=404)])
async def test_a_kind_that_can_not_be_listed_is_not_used_and_stops_nothing(refusal: ClusterError) -> None:
    discovery = Discovery({INFERENCE_POOL}, listing=refusal)
    served, store = asker(discovery)
    assert not await served.ask()
    assert store.served == set()
    discovery.listing = None
    assert await served.ask()
    assert store.served == {"InferencePool"}


async def test_a_right_that_is_taken_away_stops_no_listing_but_its_own() -> None:
    discovery = Discovery({HTTP_ROUTE, INFERENCE_POOL})
    served, store = asker(discovery)
    await served.ask()
    discovery.listing = Forbidden("GET", status=403)
    served.doubt()
    assert await served.ask()
    assert store.served == set()
    discovery.listing = None
    assert await served.ask()
    assert store.served == {"HTTPRoute", "InferencePool"}


async def test_a_resync_goes_on_without_a_kind_that_may_be_listed_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmendpoint.runtime.operator.RETRY_SECONDS", 0.0)
    discovery = Discovery({HTTP_ROUTE})
    operator = Operator(Settings(), discovery, None, instance="one", exporter=Exporter())  # type: ignore[arg-type]
    await operator.served_kinds.ask()
    discovery.listing = Forbidden("GET", status=403)
    resyncs = asyncio.create_task(operator._resync_for_ever())
    async with asyncio.timeout(20):
        await operator.synchronised()
    resyncs.cancel()
    assert operator.store.served == set()


async def test_an_account_that_is_not_known_for_a_while_is_no_answer() -> None:
    discovery = Discovery({HTTP_ROUTE})
    served, store = asker(discovery)
    await served.ask()
    discovery.listing = Forbidden("GET", status=401)
    served.doubt()
    with pytest.raises(Forbidden):
        await served.ask()
    assert store.served == {"HTTPRoute"}


async def test_without_an_answer_the_last_one_counts() -> None:
    discovery = Discovery({HTTP_ROUTE})
    served, store = asker(discovery)
    await served.ask()
    discovery.down = True
    with pytest.raises(Unreachable):
        await served.ask()
    assert store.served == {"HTTPRoute"}


async def test_a_wait_ends_when_the_answer_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served_kinds, "ASK_SECONDS", 0.01)
    discovery = Discovery(down=True)
    served, store = asker(discovery)
    await served.changed_within(0.03)  # no answer, which ends no wait before its time
    discovery.down, discovery.kinds = False, {HTTP_ROUTE}
    await served.changed_within(3600.0)
    assert store.served == {"HTTPRoute"}
