"""What is written of a plan when the scaler decides anew while it is carried out."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from llmendpoint.metrics.exporter import Exporter
from llmendpoint.reconcile.observation import observe
from llmendpoint.reconcile.plan import make_plan
from llmendpoint.runtime.executor import Executor
from llmendpoint.runtime.memory import Memories
from llmendpoint.runtime.store import Key
from support.ticks import stored

KEY = Key("team", "llama")


class Api:
    """Keeps the replica counts that it gets, and takes events."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    async def apply(self, manifest: Mapping[str, Any], *, manager: str) -> Mapping[str, Any]:
        self.counts.append(manifest["spec"]["replicas"])
        return {**manifest, "metadata": {**manifest["metadata"], "uid": "llama", "resourceVersion": "2"}}

    def record(self, *_: Any, **__: Any) -> None:
        pass


@pytest.mark.parametrize(("decided_meanwhile", "written"), [(4, [4]), (3, [])])
async def test_a_count_is_written_while_the_scaler_wants_it(decided_meanwhile: int, written: list[int]) -> None:
    store, api = stored(llama={"maxReplicas": 4}), Api()
    body = store.endpoint(KEY)
    seen = observe(store.read(body), store.children(KEY), store.pods(KEY), store.served)
    memory = Memories().of(KEY, seen, 0.0)
    plan = make_plan(seen, desired=(), replicas=4, load={}, is_whole=False)
    executor = Executor(cluster=api, store=store, recorder=api, exporter=Exporter())

    memory.state = replace(memory.state, desired=decided_meanwhile)
    await executor.carry_out(plan, seen, memory, body)

    assert api.counts == written
