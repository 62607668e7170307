"""The part of Qdrant's HTTP API that the RAG service uses, over the embedded store: no registry here has a server.

It shows that requests arrive as Qdrant's own models read them; what a real server makes of them it can not show.
"""

import asyncio
from typing import Any

from aiohttp import web
from qdrant_client import AsyncQdrantClient, models

DONE = {"operation_id": 1, "status": "completed"}


class QdrantFacade:
    """A server.

    Attributes:
        indexed: the payload fields that got an index.
        away: whether all answers are 503.
        busy: whether all answers are 429.
        silent: whether there are none.
        slow_to_know: whether it tells of no collection, as one that another client is about to make.
    """

    def __init__(self) -> None:
        self._store = AsyncQdrantClient(":memory:")
        self.indexed: dict[str, str] = {}
        self.away = False
        self.busy = False
        self.silent = False
        self.slow_to_know = False

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**26)
        app.router.add_get("/collections/{name}/exists", self._answer(self._exists))
        app.router.add_get("/collections/{name}", self._answer(self._get))
        app.router.add_put("/collections/{name}", self._answer(self._create))
        app.router.add_put("/collections/{name}/index", self._answer(self._index))
        app.router.add_put("/collections/{name}/points", self._answer(self._upsert))
        app.router.add_post("/collections/{name}/facet", self._answer(self._facet))
        for verb in ("query/batch", "scroll", "count", "delete"):
            handler = getattr(self, f"_{verb.replace('/', '_')}")
            app.router.add_post(f"/collections/{{name}}/points/{verb}", self._answer(handler))
        return app

    def _answer(self, handler: Any) -> Any:
        async def answer(request: web.Request) -> web.Response:
            if self.away:
                return web.json_response({"status": {"error": "restarting"}}, status=503)
            if self.busy:
                return web.json_response({"status": {"error": "busy"}}, status=429, headers={"Retry-After": "3"})
            while self.silent:
                await asyncio.sleep(0.02)
            body = await request.json() if request.can_read_body else {}
            try:
                result = await handler(request.match_info["name"], body)
            except ValueError as error:  # the embedded store's word for a collection that exists
                return web.json_response({"status": {"error": str(error)}}, status=409)
            return web.json_response({"result": result, "status": "ok", "time": 0.001})

        return answer

    async def _exists(self, name: str, _: dict[str, Any]) -> object:
        if self.slow_to_know:
            return {"exists": False}
        return {"exists": await self._store.collection_exists(name)}

    async def _get(self, name: str, _: dict[str, Any]) -> object:
        return (await self._store.get_collection(name)).model_dump(mode="json")

    async def _create(self, name: str, body: dict[str, Any]) -> object:
        asked = models.CreateCollection.model_validate(body)
        return await self._store.create_collection(name, vectors_config=asked.vectors)

    async def _index(self, _: str, body: dict[str, Any]) -> object:
        self.indexed[body["field_name"]] = body["field_schema"]
        return DONE

    async def _upsert(self, name: str, body: dict[str, Any]) -> object:
        await self._store.upsert(name, models.PointsList.model_validate(body).points)
        return DONE

    async def _facet(self, name: str, body: dict[str, Any]) -> object:
        asked = models.FacetRequest.model_validate(body)
        assert self.indexed.get(asked.key) == "keyword", "a real server facets indexed fields alone"
        return (await self._store.facet(name, key=asked.key, limit=asked.limit or 10)).model_dump(mode="json")

    async def _query_batch(self, name: str, body: dict[str, Any]) -> object:
        asked = models.QueryRequestBatch.model_validate(body).searches
        return [each.model_dump(mode="json") for each in await self._store.query_batch_points(name, asked)]

    async def _scroll(self, name: str, body: dict[str, Any]) -> object:
        asked = models.ScrollRequest.model_validate(body)
        points, offset = await self._store.scroll(
            name, asked.filter, limit=asked.limit or 10, offset=asked.offset, with_payload=asked.with_payload or True
        )
        return {"points": [point.model_dump(mode="json") for point in points], "next_page_offset": offset}

    async def _count(self, name: str, body: dict[str, Any]) -> object:
        asked = models.CountRequest.model_validate(body)
        return (await self._store.count(name, count_filter=asked.filter)).model_dump()

    async def _delete(self, name: str, body: dict[str, Any]) -> object:
        await self._store.delete(name, models.FilterSelector.model_validate(body))
        return DONE
