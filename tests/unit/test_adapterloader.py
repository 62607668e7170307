"""The loader of LoRA adapters beside a simulated engine, over real sockets."""

import asyncio
import contextlib
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from adapterloader import loader as loading
from adapterloader.adapters import Wanted
from adapterloader.control import app
from adapterloader.engines import Engine, EngineRefused
from adapterloader.files import UNNAMED_SECONDS, fetched, tidied
from adapterloader.loader import Loader
from adapterloader.options import Options, parse
from enginesim import options as engine_options
from enginesim.server import Server
from modelfetch.fetcher import Fetcher
from modelfetch.folder import ModelFolder
from modelfetch.origin import Unavailable
from support.prometheus import free_port

ENGINES = {
    "vllm": ["vllm", "serve", "acme/llama", "--served-model-name=tiny", "--enable-lora", "--api-key=secret"],
    "sglang": [
        "sglang", "serve", "--model-path=acme/llama", "--served-model-name=tiny", "--enable-lora",
        "--max-lora-rank=16", "--lora-target-modules=all", "--api-key=secret",
    ],
}  # fmt: skip


@dataclass
class Pod:
    """An engine that can be restarted, the loader beside it and its list."""

    directory: Path
    engine: str
    port: int
    loader: Loader
    runner: web.AppRunner | None = None

    def adapter(self, name: str, rank: int = 8) -> dict[str, str]:
        folder = self.directory / "given" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "adapter_config.json").write_text(json.dumps({"r": rank}))
        return {"name": name, "source": f"pvc://adapters/{name}", "path": str(folder)}

    def tell(self, *adapters: dict[str, str]) -> None:
        (self.directory / "list").write_text(json.dumps(adapters))

    async def start(self) -> None:
        parsed = engine_options.parse(ENGINES[self.engine], {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"})
        self.runner = web.AppRunner(Server(parsed).app())
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self.runner:
            await self.runner.cleanup()

    def states(self) -> dict[str | None, str | None]:
        return {one["name"]: one["state"] for one in self.loader.report()}

    async def served(self) -> set[str]:
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer secret"}) as session:
            answer = await session.get(f"http://127.0.0.1:{self.port}/v1/models")
            return {card["id"] for card in (await answer.json())["data"]}


async def not_to_be_fetched(root: Path, wanted: Wanted) -> Path:
    raise AssertionError(wanted)


@contextlib.asynccontextmanager
async def pod(
    directory: Path, engine: str = "vllm", fetch: Callable[[Path, Wanted], Awaitable[Path]] = not_to_be_fetched
) -> AsyncIterator[Pod]:
    port = free_port()
    options = Options(
        engine, f"http://127.0.0.1:{port}", directory / "list", directory / "fetched", directory / "given", 0,
        api_key="secret",
    )  # fmt: skip
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        made = Pod(directory, engine, port, Loader(options, Engine(session, options), fetch, tidied))
        try:
            yield made
        finally:
            await made.stop()


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
async def test_an_engine_gets_the_adapters_of_the_list_and_loses_those_that_leave_it(
    tmp_path: Path, engine: str
) -> None:
    async with pod(tmp_path, engine) as one:
        await one.start()
        one.tell(one.adapter("sql"))
        await one.loader.look()
        assert (one.states(), one.loader.is_ready) == ({"sql": "Loaded"}, True)
        assert await one.served() == {"tiny", "sql"}
        one.tell(one.adapter("sql"), one.adapter("chat"))
        await one.loader.look()
        assert await one.served() == {"tiny", "sql", "chat"}
        one.tell(one.adapter("chat"))
        await one.loader.look()
        assert one.states() == {"chat": "Loaded", "sql": "Unloading"}
        while "sql" in await one.served():
            await asyncio.sleep(0.01)
        await one.loader.look()
        assert one.states() == {"chat": "Loaded"}


async def test_one_that_has_left_the_list_is_told_of_until_the_engine_has_it_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pod(tmp_path) as one:
        await one.start()
        one.tell(one.adapter("sql"))
        await one.loader.look()
        loaded = one.loader._engine.loaded

        async def asked() -> Mapping[str, str]:
            assert one.states() == {"sql": "Unloading"}
            return await loaded()

        monkeypatch.setattr(one.loader._engine, "loaded", asked)
        one.tell()
        await one.loader.look()
        while one.states():
            await asyncio.sleep(0.01)
        assert await one.served() == {"tiny"}


async def test_a_pod_is_not_ready_before_its_adapters_were_tried(tmp_path: Path) -> None:
    async with pod(tmp_path) as one:
        one.tell(one.adapter("sql"), one.adapter("wide", rank=64))
        await one.loader.look()
        assert (one.states(), one.loader.is_ready) == ({"sql": "Loading", "wide": "Loading"}, False)
        await one.start()
        await one.loader.look()
        assert (one.states(), one.loader.is_ready) == ({"sql": "Loaded", "wide": "Failed"}, True)
        (said,) = (entry["message"] for entry in one.loader.report() if entry["name"] == "wide")
        assert said == (
            "the engine answers 500: Call to add_lora method failed: Worker failed with error 'LoRA rank 64 is greater "
            "than max_lora_rank 16.', please check the stack trace above for the root cause"
        )


async def test_an_adapter_that_is_added_does_not_take_the_pod_out_of_service(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def fetch(root: Path, wanted: Wanted) -> Path:
        await gate.wait()
        return Path(one.adapter("late")["path"])

    async with pod(tmp_path, fetch=fetch) as one:
        await one.start()
        one.tell(one.adapter("sql"))
        await one.loader.look()
        one.tell(one.adapter("sql"), {"name": "late", "source": "hf://acme/late", "folder": "late-1"})
        await one.loader.look()
        assert (one.states(), one.loader.is_ready) == ({"sql": "Loaded", "late": "Loading"}, True)
        gate.set()
        while one.states()["late"] != "Loaded":
            await one.loader.look()
            await asyncio.sleep(0.01)


async def test_an_engine_that_was_restarted_gets_all_again_before_the_pod_serves(tmp_path: Path) -> None:
    async with pod(tmp_path) as one:
        await one.start()
        one.tell(one.adapter("sql"))
        await one.loader.look()
        await one.stop()
        await one.loader.look()
        assert (one.states(), one.loader.is_ready) == ({"sql": "Loading"}, False)
        await one.start()
        await one.loader.look()
        assert (one.states(), one.loader.is_ready) == ({"sql": "Loaded"}, True)
        # As fast as between two looks.
        await one.stop()
        await one.start()
        await one.loader.look()
        assert (await one.served(), one.loader.is_ready) == ({"tiny", "sql"}, True)


async def test_a_pod_waits_to_be_told_and_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with pod(tmp_path) as one:
        await one.start()
        (tmp_path / "list").write_text("")
        await one.loader.look()
        assert not one.loader.is_ready
        monkeypatch.setattr(loading, "UNTOLD_SECONDS", 0.0)
        await one.loader.look()
        assert one.loader.is_ready
    async with pod(tmp_path) as one:
        await one.start()
        one.tell()
        await one.loader.look()
        assert one.loader.is_ready


async def test_an_engine_that_never_ends_a_load_does_not_keep_its_pod_from_serving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pod(tmp_path) as one:
        await one.start()
        one.tell(one.adapter("sql"))

        asked = asyncio.Event()

        async def never(name: str, path: str, *, replaces: str | None) -> None:
            asked.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(one.loader._engine, "load", never)
        looking = asyncio.create_task(one.loader.look())
        await asyncio.wait_for(asked.wait(), 20)
        assert (one.states(), one.loader.is_ready) == ({"sql": "Loading"}, False)
        monkeypatch.setattr(loading, "UNLOADED_SECONDS", 0.0)
        assert one.loader.is_ready
        looking.cancel()


async def test_an_engine_that_does_not_say_what_it_has_does_not_keep_its_pod_from_serving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pod(tmp_path) as one:
        await one.start()
        monkeypatch.setattr(one.loader._engine, "_headers", {})
        one.tell(one.adapter("sql"))
        await one.loader.look()
        assert (one.states(), one.loader.is_ready) == ({"sql": "Loading"}, False)
        assert "the engine answers 401" in str(one.loader.report()[0]["message"])
        monkeypatch.setattr(loading, "UNLOADED_SECONDS", 0.0)
        await one.loader.look()
        assert one.loader.is_ready


async def test_a_loader_goes_on_after_what_it_does_not_expect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "PERIOD_SECONDS", 0.01)
    async with pod(tmp_path) as one:
        await one.start()
        one.tell(one.adapter("sql"))
        loaded, outcomes = one.loader._engine.loaded, iter([RecursionError("odd")])

        async def odd_at_first() -> Any:
            if error := next(outcomes, None):
                raise error
            return await loaded()

        monkeypatch.setattr(one.loader._engine, "loaded", odd_at_first)
        running = asyncio.create_task(one.loader.run())
        while not one.loader.is_ready:
            assert not running.done()
            await asyncio.sleep(0.01)
        running.cancel()


async def test_an_engine_that_was_restarted_after_a_long_time_is_waited_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pod(tmp_path) as one:
        await one.start()
        one.tell(one.adapter("sql"))
        await one.loader.look()
        one.loader._up_since = -loading.UNLOADED_SECONDS
        await one.stop()
        await one.start()
        seen = []
        load = one.loader._engine.load

        async def watched(name: str, path: str, *, replaces: str | None) -> None:
            seen.append((one.states(), one.loader.is_ready))
            await load(name, path, replaces=replaces)

        monkeypatch.setattr(one.loader._engine, "load", watched)
        await one.loader.look()
        assert (seen, one.loader.is_ready) == ([({"sql": "Loading"}, False)], True)


async def test_a_list_of_a_newer_operator_is_read_as_far_as_it_is_known(tmp_path: Path) -> None:
    async with pod(tmp_path) as one:
        await one.start()
        one.tell({**one.adapter("sql"), "weight": "0.5"})
        await one.loader.look()
        assert one.states() == {"sql": "Loaded"}


async def test_one_of_the_models_own_claim_is_unloaded_when_it_leaves_the_list(tmp_path: Path) -> None:
    async with pod(tmp_path) as one:
        await one.start()
        files = tmp_path / "models" / "loras" / "sql"
        files.mkdir(parents=True)
        (files / "adapter_config.json").write_text(json.dumps({"r": 8}))
        one.tell({"name": "sql", "source": "pvc://models/loras/sql", "path": str(files)})
        await one.loader.look()
        assert await one.served() == {"tiny", "sql"}
        one.tell()
        await one.loader.look()
        while "sql" in await one.served():
            await asyncio.sleep(0.01)


async def test_one_that_comes_back_while_it_is_unloaded_is_loaded_after_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pod(tmp_path) as one:
        await one.start()
        sql = one.adapter("sql")
        one.tell(sql)
        await one.loader.look()
        finished, unload = asyncio.Event(), one.loader._engine.unload

        async def slow(name: str) -> None:
            await finished.wait()
            await unload(name)

        monkeypatch.setattr(one.loader._engine, "unload", slow)
        one.tell()
        await one.loader.look()
        one.tell(sql)
        await one.loader.look()
        assert (one.states(), one.loader.is_ready) == ({"sql": "Loading"}, True)
        finished.set()
        while "sql" in await one.served():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        await one.loader.look()
        assert (one.states(), "sql" in await one.served()) == ({"sql": "Loaded"}, True)


async def test_a_volume_that_hangs_keeps_nobody_from_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hung = threading.Event()

    def is_whole(_: ModelFolder) -> bool:
        return hung.wait(20)

    monkeypatch.setattr(ModelFolder, "is_whole", is_whole)
    async with pod(tmp_path, fetch=partial(fetched, asyncio.Semaphore(1))) as one:
        await one.start()
        (tmp_path / "fetched" / "sql-1").mkdir(parents=True)
        one.tell({"name": "sql", "source": "hf://acme/sql", "folder": "sql-1"})
        async with asyncio.timeout(5):
            await one.loader.look()
        assert one.states() == {"sql": "Loading"}
        hung.set()
        while one.states() == {"sql": "Loading"}:
            await one.loader.look()
            await asyncio.sleep(0.01)


async def test_few_are_fetched_at_once_and_what_is_there_waits_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, fetching, most = asyncio.Event(), 0, 0

    async def run(fetcher: Fetcher) -> None:
        nonlocal fetching, most
        fetching += 1
        most = max(most, fetching)
        await gate.wait()
        fetching -= 1
        raise Unavailable("the hub is away")

    monkeypatch.setattr(Fetcher, "run", run)
    sources = [{"name": f"n{number}", "source": f"hf://acme/n{number}", "folder": f"n{number}"} for number in range(5)]
    there = tmp_path / "fetched" / "there-1"
    there.mkdir(parents=True)
    (there / "adapter_config.json").write_text('{"r": 8}')
    about = {"source": "hf://acme/there", "revision": None, "files": {"adapter_config.json": [8, ""]}}
    (there / ".complete").write_text(json.dumps(about))
    async with pod(tmp_path, fetch=partial(fetched, asyncio.Semaphore(2))) as one:
        await one.start()
        one.tell(*sources, {"name": "there", "source": "hf://acme/there", "folder": "there-1"})
        while one.states().get("there") != "Loaded" or fetching < 2:
            await one.loader.look()
            await asyncio.sleep(0.01)
        gate.set()
        while "Loading" in one.states().values():
            await one.loader.look()
            await asyncio.sleep(0.01)
        assert most == 2


async def test_what_no_list_has_named_for_a_week_is_removed_and_nothing_else(tmp_path: Path) -> None:
    root, long_ago = tmp_path / "fetched", time.time() - UNNAMED_SECONDS - 60

    def made(name: str, mark: str, at: float) -> None:
        (root / name).mkdir(parents=True)
        (root / name / mark).write_text("")
        os.utime(root / name, (at, at))

    for name in ("named", "old", "old.partial", ".fetching-a"):
        made(name, ".complete", long_ago)
    made("users-own", "adapter_config.json", long_ago)
    made("left-the-list", ".complete", time.time())
    await tidied(root, {"named", "not-fetched"})
    # Another replica, which has been told another list.
    await tidied(root, set())
    assert {path.name for path in root.iterdir()} == {"named", "left-the-list", "users-own", ".fetching-a"}


async def test_a_list_is_told_to_who_tidies_again_and_again_and_at_each_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[AbstractSet[str]] = []

    async def tidy(root: Path, folders: AbstractSet[str]) -> None:
        told.append(folders)

    async with pod(tmp_path) as one:
        one.loader._tidy = tidy
        await one.loader.look()
        assert not told, "it has not been told yet"
        sql = {"name": "sql", "source": "hf://acme/sql", "folder": "sql-1"}
        for adapters in ((), (one.adapter("law"),), (sql,), (sql,)):
            one.tell(*adapters)
            await one.loader.look()
            await asyncio.sleep(0)
        assert told == [set(), {"sql-1"}]
        one.loader._tidy_at = 0.0
        await one.loader.look()
        await asyncio.sleep(0)
        assert told == [set(), {"sql-1"}, {"sql-1"}]


async def test_a_failed_one_is_tried_again_and_stays_failed_meanwhile(tmp_path: Path) -> None:
    outcomes = iter([ConnectionError("the hub is away"), None])

    async def fetch(root: Path, wanted: Wanted) -> Path:
        if error := next(outcomes):
            raise error
        return Path(one.adapter("sql")["path"])

    async def settled(state: str) -> None:
        while one.states().get("sql") != state:
            await one.loader.look()
            await asyncio.sleep(0.01)

    async with pod(tmp_path, fetch=fetch) as one:
        await one.start()
        one.tell({"name": "sql", "source": "hf://acme/sql", "folder": "sql-1"})
        await settled("Failed")
        assert (one.loader.report()[0]["message"], one.loader.is_ready) == ("the hub is away", True)
        one.loader._progress["sql"].again_at = 0.0
        seen = set()
        while one.states()["sql"] != "Loaded":
            await one.loader.look()
            seen.add(one.states()["sql"])
            await asyncio.sleep(0.01)
        assert seen <= {"Failed", "Loaded"}


@pytest.mark.parametrize("error", [aiohttp.ServerDisconnectedError(), EngineRefused("EngineCore encountered an issue")])
async def test_one_at_which_the_engine_ends_is_left_out_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(loading, "DOUBT_SECONDS", 60.0)
    async with pod(tmp_path) as one:
        load, asked = one.loader._engine.load, []

        async def deadly(name: str, path: str, *, replaces: str | None) -> None:
            asked.append(name)
            if name == "deadly":
                raise error
            await load(name, path, replaces=replaces)

        monkeypatch.setattr(one.loader._engine, "load", deadly)
        one.tell(one.adapter("deadly"), one.adapter("sql"), one.adapter("law"))
        for _ in range(2):
            await one.start()
            # It answers for a moment still.
            await one.loader.look()
            await one.loader.look()
            await one.stop()
            await one.loader.look()
            assert not one.loader.is_ready
        # None is blamed for it but the one that was tried, which the others no longer wait for.
        assert asked == ["deadly", "sql", "law", "deadly"]
        await one.start()
        await one.loader.look()
        assert asked == ["deadly", "sql", "law", "deadly", "sql", "law"]
        assert (one.states(), one.loader.is_ready) == ({"deadly": "Failed", "sql": "Loaded", "law": "Loaded"}, True)
        assert "the engine ended 2 times" in str(one.loader.report()[0]["message"])
        one.tell({**one.adapter("better"), "name": "deadly"})
        await one.loader.look()
        assert asked[-1] == "deadly"


async def test_what_breaks_off_is_not_tried_again_at_once_and_one_engine_that_ended_may_be_chance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pod(tmp_path) as one:
        await one.start()
        asked = []

        async def broken(name: str, path: str, *, replaces: str | None) -> None:
            asked.append(name)
            raise aiohttp.ServerDisconnectedError

        monkeypatch.setattr(one.loader._engine, "load", broken)
        one.tell(one.adapter("sql"))
        await one.loader.look()
        monkeypatch.setattr(loading, "DOUBT_SECONDS", 0.0)
        await one.loader.look()
        assert (asked, one.states()) == (["sql"], {"sql": "Failed"})
        # The engine lived on: what ends it now is something else.
        for _ in range(3):
            await one.stop()
            await one.loader.look()
            await one.start()
            await one.loader.look()
        assert asked == ["sql"] * 4


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
async def test_another_source_takes_the_place_of_the_one_that_is_loaded(tmp_path: Path, engine: str) -> None:
    async with pod(tmp_path, engine) as one:
        await one.start()
        one.tell(one.adapter("sql"))
        await one.loader.look()
        other = {**one.adapter("sql-2"), "name": "sql"}
        one.tell(other)
        await one.loader.look()
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer secret"}) as session:
            cards = (await (await session.get(f"http://127.0.0.1:{one.port}/v1/models")).json())["data"]
        assert {card["id"]: card["root"] for card in cards}["sql"] == other["path"]


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
async def test_one_that_is_refused_leaves_the_old_one_of_its_name(tmp_path: Path, engine: str) -> None:
    async with pod(tmp_path, engine) as one:
        await one.start()
        old = one.adapter("sql")
        one.tell(old)
        await one.loader.look()
        one.tell({**one.adapter("wide", rank=64), "name": "sql"})
        await one.loader.look()
        assert one.states() == {"sql": "Failed"}
        assert "sql" in await one.served()
        assert await one.loader._engine.loaded() == {"sql": old["path"]}


async def test_vllm_keeps_none_that_was_loaded_in_place_and_would_be_read_at_every_step(tmp_path: Path) -> None:
    async with pod(tmp_path) as one:
        await one.start()
        one.tell(one.adapter("sql"))
        await one.loader.look()
        asked, ask = [], one.loader._engine._ask

        async def watched(method: str, path: str, body: Mapping[str, Any] | None, seconds: float) -> str:
            asked.append((path, (body or {}).get("load_inplace", False)))
            return await ask(method, path, body, seconds)

        one.loader._engine._ask = watched  # type: ignore[method-assign]
        one.tell({**one.adapter("sql-2"), "name": "sql"})
        await one.loader.look()
        assert one.states() == {"sql": "Loaded"}
        load, unload = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"
        assert asked == [("/v1/models", False), (load, True), (unload, False), (load, False)]


async def test_what_the_users_own_arguments_have_loaded_stays(tmp_path: Path) -> None:
    async with pod(tmp_path) as one:
        await one.start()
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "adapter_config.json").write_text(json.dumps({"r": 8}))
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer secret"}) as session:
            body = {"lora_name": "own", "lora_path": str(elsewhere)}
            await session.post(f"http://127.0.0.1:{one.port}/v1/load_lora_adapter", json=body)
        one.tell()
        await one.loader.look()
        await asyncio.sleep(0.05)
        assert await one.served() == {"tiny", "own"}


async def test_who_asks_how_far_it_is_hears_of_news_at_once(tmp_path: Path) -> None:
    async with pod(tmp_path) as one, TestClient(TestServer(app(one.loader))) as client:
        await one.start()
        assert (await client.get("/readyz")).status == 503
        assert (await client.get("/livez")).status == 200
        asked: asyncio.Task[Any] = asyncio.create_task(client.get("/adapters?seconds=20"))
        await asyncio.sleep(0.1)
        one.tell(one.adapter("sql"))
        await one.loader.look()
        assert (await (await asked).json())["adapters"][0]["state"] == "Loading"
        # It was loaded between two questions: who asks again hears of it without waiting.
        again = await asyncio.wait_for(client.get("/adapters?seconds=20"), 2)
        assert (await again.json())["adapters"][0]["state"] == "Loaded"
        told = (await (await client.get("/adapters")).json())["adapters"]
        assert told == [
            {"name": "sql", "source": "pvc://adapters/sql", "revision": None, "state": "Loaded", "message": ""}
        ]
        assert (await client.get("/readyz")).status == 200


def test_its_arguments_are_those_of_the_manifest() -> None:
    arguments = ["--engine=vllm", "--engine-url=http://127.0.0.1:8000", "--list=/etc/llmendpoint/adapters"]
    arguments += ["--root=/cache/adapters", "--given=/adapters", "--control-port=9901"]
    assert parse(arguments, {"OPENAI_API_KEY": "secret"}).api_key == "secret"
