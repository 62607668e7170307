"""What a simulated engine answers about LoRA adapters, as vLLM 0.32.0 and SGLang 0.5.23 do."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from enginesim.options import parse
from enginesim.server import Server

VLLM = ["vllm", "serve", "acme/llama", "--served-model-name=tiny", "--enable-lora", "--max-lora-rank=16"]
SGLANG = [
    "sglang", "serve", "--model-path=acme/llama", "--served-model-name=tiny", "--enable-metrics", "--enable-lora",
    "--max-lora-rank=16", "--lora-target-modules=all",
]  # fmt: skip
ALLOWED = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1", "ENGINESIM_ITERATION_SECONDS": "0.001"}


@contextlib.asynccontextmanager
async def engine(
    arguments: list[str], environment: dict[str, str] | None = None
) -> AsyncIterator[TestClient[Any, Any]]:
    server = Server(parse(arguments, ALLOWED if environment is None else environment))
    core = asyncio.create_task(server.batcher.run())
    async with asyncio.timeout(20), TestClient(TestServer(server.app())) as client:
        yield client
    core.cancel()


def files(directory: Path, name: str = "sql", rank: int = 8) -> str:
    folder = directory / name
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank, "peft_type": "LORA"}))
    return str(folder)


async def told(client: TestClient[Any, Any], path: str, **body: Any) -> tuple[int, str]:
    answer = await client.post(path, json=body)
    return answer.status, await answer.text()


async def models(client: TestClient[Any, Any]) -> dict[str, tuple[str, str | None]]:
    cards = (await (await client.get("/v1/models")).json())["data"]
    return {card["id"]: (card["root"], card.get("parent")) for card in cards}


async def test_vllm_answers_by_the_name_of_an_adapter_until_it_is_unloaded(tmp_path: Path) -> None:
    path = files(tmp_path)
    async with engine(VLLM) as client:
        asked = {"model": "sql", "messages": []}
        status, said = await told(client, "/v1/chat/completions", **asked)
        assert status == 404
        assert json.loads(said)["error"]["message"] == "The model `sql` does not exist. Valid aliases: tiny."

        loaded = await told(client, "/v1/load_lora_adapter", lora_name="sql", lora_path=path)
        assert loaded == (200, "Success: LoRA adapter 'sql' added successfully.")
        assert await models(client) == {"tiny": ("acme/llama", None), "sql": (path, "tiny")}
        status, said = await told(client, "/v1/chat/completions", **asked)
        assert (status, json.loads(said)["model"]) == (200, "sql")
        assert 'lora_requests_info{max_lora="1"' in await (await client.get("/metrics")).text()

        unloaded = await told(client, "/v1/unload_lora_adapter", lora_name="sql")
        assert unloaded == (200, "Success: LoRA adapter 'sql' removed successfully.")
        assert (await told(client, "/v1/chat/completions", **asked))[0] == 404


@pytest.mark.parametrize(
    ("what", "status", "said"),
    [
        ({"lora_path": "/none"}, 404, "Loading lora sql failed: No adapter found for /none"),
        ({"lora_name": "tiny"}, 400, "The lora adapter 'tiny' conflicts with a served base model."),
        (
            {"rank": 64},
            500,
            "Call to add_lora method failed: Worker failed with error 'LoRA rank 64 is greater than max_lora_rank "
            "16.', please check the stack trace above for the root cause",
        ),
        ({"lora_path": ""}, 400, "Both 'lora_name' and 'lora_path' must be provided."),
    ],
)
async def test_vllm_says_why_it_does_not_load(tmp_path: Path, what: dict[str, Any], status: int, said: str) -> None:
    body = {"lora_name": "sql", "lora_path": files(tmp_path, rank=what.pop("rank", 8)), **what}
    async with engine(VLLM) as client:
        found, text = await told(client, "/v1/load_lora_adapter", **body)
        assert (found, json.loads(text)["error"]["message"]) == (status, said)
        assert list(await models(client)) == ["tiny"]


async def test_vllm_replaces_an_adapter_in_place_where_it_is_told_to(tmp_path: Path) -> None:
    old, new = files(tmp_path), files(tmp_path, "sql-2")
    async with engine(VLLM) as client:
        await told(client, "/v1/load_lora_adapter", lora_name="sql", lora_path=old)
        status, said = await told(client, "/v1/load_lora_adapter", lora_name="sql", lora_path=new)
        assert (status, "has already been loaded" in said) == (400, True)
        await told(client, "/v1/load_lora_adapter", lora_name="sql", lora_path=new, load_inplace=True)
        assert (await models(client))["sql"] == (new, "tiny")


async def test_vllm_that_was_not_told_to_has_no_such_routes() -> None:
    async with engine(VLLM, {}) as client:
        assert (await told(client, "/v1/load_lora_adapter", lora_name="sql", lora_path="/x"))[0] == 404


async def test_sglang_takes_an_adapter_behind_a_colon(tmp_path: Path) -> None:
    path = files(tmp_path)
    async with engine(SGLANG) as client:
        assert (await told(client, "/v1/chat/completions", model="tiny:sql", messages=[]))[0] == 400
        status, said = await told(client, "/load_lora_adapter", lora_name="sql", lora_path=path)
        assert (status, json.loads(said)["success"]) == (200, True)
        assert await models(client) == {"tiny": ("acme/llama", None), "sql": (path, "tiny")}
        status, said = await told(client, "/v1/chat/completions", model="tiny:sql", messages=[])
        assert (status, json.loads(said)["model"]) == (200, "sql")
        # Without a colon the name is one for the model itself.
        status, said = await told(client, "/v1/chat/completions", model="sql", messages=[])
        assert (status, json.loads(said)["model"]) == (200, "tiny")
        status, said = await told(client, "/load_lora_adapter", lora_name="sql", lora_path=path)
        assert (status, json.loads(said)["error_message"]) == (
            400, "Failed to load LoRA adapter sql because it is already loaded",
        )  # fmt: skip
        assert (await told(client, "/unload_lora_adapter", lora_name="sql"))[0] == 200
        assert (await told(client, "/unload_lora_adapter", lora_name="sql"))[0] == 400


async def test_an_api_key_guards_them(tmp_path: Path) -> None:
    async with engine([*VLLM, "--api-key=secret"]) as client:
        assert (await told(client, "/v1/load_lora_adapter", lora_name="sql", lora_path=files(tmp_path)))[0] == 401
