"""Somebody else who writes what is the operator's, for a while, as fast as that goes."""

import asyncio
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from chaos.site import MOST, NAMESPACE, Site
from support.api import Api

pytestmark = pytest.mark.apiserver
SECONDS = 10.0
DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/llama-engine"
SERVICE = f"/api/v1/namespaces/{NAMESPACE}/services/llama"


class Intruder:
    """Takes the count and fields of the Deployment, and the Service's selector, in all ways in which that is done."""

    def __init__(self, api: Api, chance: Random) -> None:
        self._api = api
        self._chance = chance
        self.answers: list[int] = []

    async def intrude(self) -> None:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            await self._chance.choice([self._scale, self._seize, self._replace, self._point_elsewhere])()

    async def _scale(self) -> None:
        """As kubectl scale does."""
        await self._send("PATCH", f"{DEPLOYMENT}/scale", self._count, "merge-patch+json")

    async def _seize(self) -> None:
        """As a GitOps tool does: server-side apply by force."""
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "llama-engine"}, **self._count}
        await self._send("PATCH", f"{DEPLOYMENT}?fieldManager=intruder&force=true", body, "apply-patch+yaml")

    async def _replace(self) -> None:
        """As a controller of old does: read all, write all."""
        body = (await self._api.send("GET", DEPLOYMENT)).body
        if "spec" in body:
            body["spec"] |= self._count["spec"]
            body["spec"]["template"]["spec"]["containers"][0]["image"] = "example.test/other:1"
            await self._send("PUT", DEPLOYMENT, body)

    async def _point_elsewhere(self) -> None:
        patch = {"spec": {"selector": {"llmendpoint.dev/component": self._chance.choice(["engine", "business"])}}}
        await self._send("PATCH", SERVICE, patch, "merge-patch+json")

    @property
    def _count(self) -> dict[str, Any]:
        return {"spec": {"replicas": self._chance.randrange(8)}}

    async def _send(self, method: str, path: str, body: Any, kind: str = "json") -> None:
        self.answers.append((await self._api.send(method, path, body, kind=kind)).code)
        await asyncio.sleep(self._chance.uniform(0.0, 0.2))


def test_a_storm_of_conflicts_ends_as_the_operator_wants_it(site: Site, chance: Random, tmp_path: Path) -> None:
    site.apply(hold_seconds=60)
    site.load()
    site.await_replicas(MOST)

    async def storm() -> list[int]:
        async with Api.connected(site.cluster.kubeconfig, tmp_path) as api:
            intruder = Intruder(api, chance)
            await intruder.intrude()
            return intruder.answers

    answers = asyncio.run(storm())
    print(f"{len(answers)} writes of the other one, {answers.count(409)} conflicts")
    assert answers.count(200) > 10
    site.await_replicas(MOST)
