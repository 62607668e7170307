"""The RAG service over a real socket, with the carried model."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import uvicorn

from rag.service import make_app
from rag.settings import Settings
from support.prometheus import free_port

CORPUS = Path(__file__).resolve().parents[2] / "rag" / "corpus"


def settings(store: Path, **changes: object) -> Settings:
    return Settings.model_validate(
        {"embedding_model": "carried", "reranker": "late-interaction", "store_path": store, "llm_model": "tiny"}
        | changes
    )


@contextlib.asynccontextmanager
async def serving(configuration: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The service on a port of its own, and a client of it."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(make_app(configuration), port=port, log_level="error"))
    running = asyncio.create_task(server.serve())
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            async with asyncio.timeout(20):
                while not server.started:
                    await asyncio.sleep(0.01)
            yield client
    finally:
        server.should_exit = True
        await running


async def until_ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(30):
        while (await client.get("/healthz")).status_code != 200:
            await asyncio.sleep(0.05)
