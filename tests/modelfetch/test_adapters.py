"""The files of LoRA adapters, from a hub and a bucket into an engine, by the loader as a process of its own."""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from localcluster.paths import ROOT
from support.batches import S3
from support.fetches import RunningHub, running_hub, write_model
from support.kube import eventually
from support.prometheus import free_port, running_process

PYTHON = {"PYTHONPATH": str(ROOT / "operator")}


@dataclass(frozen=True)
class Engine:
    """A simulated vLLM."""

    url: str

    def roots(self) -> dict[str, str]:
        """Adapters that it serves, and where they were loaded from."""
        cards = httpx.get(f"{self.url}/v1/models").json()["data"]
        return {card["id"]: card["root"] for card in cards if card.get("parent")}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "enginesim", "vllm", "serve", "acme/llama", "--served-model-name=tiny"]
    command += ["--enable-lora", f"--port={port}"]
    environment = {**PYTHON, "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"}
    with running_process(command, tmp_path / "engine.log", lambda: httpx.get(f"{url}/health").is_success, environment):
        yield Engine(url)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[RunningHub]:
    with running_hub(tmp_path / "hub") as server:
        yield server


def write_adapter(folder: Path, rank: int = 8) -> None:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank}))
    (folder / "adapter_model.safetensors").write_bytes(os.urandom(1000))


@contextmanager
def loader(folder: Path, engine: Engine, *adapters: dict[str, str], environment: Mapping[str, str]) -> Iterator[str]:
    """URL of a loader that was told a list."""
    port = free_port()
    (folder / "list").write_text(json.dumps(adapters))
    command = [
        sys.executable, "-m", "adapterloader", "--engine=vllm", f"--engine-url={engine.url}",
        f"--list={folder / 'list'}", f"--root={folder / 'fetched'}", f"--given={folder / 'given'}",
        f"--control-port={port}", "--host=127.0.0.1",
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    variables = {**PYTHON, "HF_HOME": str(folder / "hub-home"), **environment}
    with running_process(command, folder / "loader.log", lambda: httpx.get(f"{url}/livez").is_success, variables):
        yield url


def told(url: str) -> dict[str, tuple[str, str]]:
    adapters: list[dict[str, Any]] = httpx.get(f"{url}/adapters").json()["adapters"]
    return {one["name"]: (one["state"], one["message"]) for one in adapters}


def loaded(url: str) -> bool:
    return {state for state, _ in told(url).values()} == {"Loaded"} and httpx.get(f"{url}/readyz").is_success


def test_adapters_of_a_hub_and_a_bucket_are_fetched_once_and_loaded(
    tmp_path: Path, engine: Engine, hub: RunningHub, s3: S3
) -> None:
    write_adapter(hub.folder / "acme" / "sql")
    write_adapter(s3.bucket("adapters-once") / "law")
    adapters = [
        {"name": "sql", "source": "hf://acme/sql", "folder": "sql-1"},
        # Another name for the same files, which are fetched at the same time.
        {"name": "queries", "source": "hf://acme/sql", "folder": "sql-1"},
        {"name": "law", "source": "s3://adapters-once/law", "folder": "law-1"},
    ]
    environment = {"HF_ENDPOINT": hub.url, **s3.environment}
    with loader(tmp_path, engine, *adapters, environment=environment) as url:
        eventually(lambda: loaded(url), 30)
        places = {name: str(tmp_path / "fetched" / folder) for name, folder in
                  (("sql", "sql-1"), ("queries", "sql-1"), ("law", "law-1"))}  # fmt: skip
        assert engine.roots() == places
        assert {path.name for path in (tmp_path / "fetched").iterdir()} == {"sql-1", "law-1"}
        assert sorted(hub.fetched()) == ["adapter_config.json", "adapter_model.safetensors"]
    before = len(hub.requests)
    with loader(tmp_path, engine, *adapters, environment=environment) as url:
        eventually(lambda: loaded(url), 30)
        assert len(hub.requests) == before, "what is whole needs no network"


def test_one_that_can_not_be_fetched_is_told_and_the_pod_serves(
    tmp_path: Path, engine: Engine, hub: RunningHub
) -> None:
    write_adapter(hub.folder / "acme" / "sql")
    write_model(hub.folder / "acme" / "llama")
    adapters = [
        {"name": "model", "source": "hf://acme/llama", "folder": "llama-1"},
        {"name": "none", "source": "hf://acme/none", "folder": "none-1"},
        {"name": "old", "source": "hf://acme/sql", "revision": "v9", "folder": "sql-9"},
        {"name": "sql", "source": "hf://acme/sql", "folder": "sql-1"},
    ]
    with loader(tmp_path, engine, *adapters, environment={"HF_ENDPOINT": hub.url}) as url:
        eventually(lambda: httpx.get(f"{url}/readyz").is_success, 30)
        said = told(url)
        assert [state for state, _ in said.values()] == ["Failed", "Failed", "Failed", "Loaded"]
        assert said["model"][1] == "hf://acme/llama has no adapter_config.json: correct the source"
        assert not [name for name in hub.fetched() if name.startswith("model-")]
        assert said["none"][1].startswith("hf://acme/none: there is no such model, or it is private")
        assert said["old"][1] == "hf://acme/sql has no revision v9: correct the revision"


def test_what_a_replica_left_that_ended_long_ago_is_removed(tmp_path: Path, engine: Engine, hub: RunningHub) -> None:
    write_adapter(hub.folder / "acme" / "sql")
    for name, age in (("ended", 2 * 86400), ("at-work", 60)):
        left = tmp_path / "fetched" / f".fetching-{name}" / "sql-1"
        left.mkdir(parents=True)
        for path in (left, left.parent):
            os.utime(path, (time.time() - age,) * 2)
    adapter = {"name": "sql", "source": "hf://acme/sql", "folder": "sql-1"}
    with loader(tmp_path, engine, adapter, environment={"HF_ENDPOINT": hub.url}) as url:
        eventually(lambda: loaded(url), 30)
        left = {"sql-1", ".fetching-at-work"}
        eventually(lambda: {path.name for path in (tmp_path / "fetched").iterdir()} == left, 30)
