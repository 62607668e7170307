"""LoRA adapters and a real vLLM: they come and go while it serves, and its words are those that the simulator has."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from localcluster.cluster import Cluster
from localcluster.realengine import ADAPTERS, RealEngine
from support.endpoints import condition, ready, status
from support.kube import eventually, get
from vllm.served import CLAIM, START_SECONDS, serve

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1200)]

PODS = ("pods", "-l", "llmendpoint.dev/component=engine")
ASK = """
import json, sys, urllib.error, urllib.request
for model in sys.argv[1:]:
    body = json.dumps({"model": model, "prompt": "the quick", "max_tokens": 8, "temperature": 0}).encode()
    request = urllib.request.Request("http://127.0.0.1:8000/v1/completions", body, {"Content-Type": "application/json"})
    try:
        answer = json.load(urllib.request.urlopen(request, timeout=120))
        print(json.dumps([200, answer["model"], answer["choices"][0]["text"]]))
    except urllib.error.HTTPError as error:
        print(json.dumps([error.code, json.load(error)["error"]["message"]]))
"""


def answers(cluster: Cluster, namespace: str, pod: str, *models: str) -> list[list[Any]]:
    """Status, and model and text or what is wrong, of one request to a replica for each model."""
    inside = ("exec", pod, "-n", namespace, "-c", "engine", "--", "python3", "-c", ASK, *models)
    return [json.loads(line) for line in cluster.kubectl(*inside).stdout.splitlines()]


@contextmanager
def away(folder: Path) -> Iterator[None]:
    """Nobody finds a folder until the block ends."""
    aside = folder.with_name(f"{folder.name}-away")
    folder.rename(aside)
    try:
        yield
    finally:
        aside.rename(folder)


def told(cluster: Cluster, namespace: str) -> dict[str, str]:
    return {entry["name"]: entry["state"] for entry in status(cluster, namespace).get("adapters", ())}


def starts(cluster: Cluster, namespace: str) -> dict[str, int]:
    """Restarts of each replica."""
    return {
        pod["metadata"]["name"]: sum(entry["restartCount"] for entry in pod["status"].get("containerStatuses", ()))
        for pod in get(cluster, *PODS, "-n", namespace)["items"]
    }


def is_replaced(cluster: Cluster, namespace: str, before: dict[str, int]) -> bool:
    return ready(cluster, namespace) and not starts(cluster, namespace).keys() & before.keys()


def test_adapters_come_and_go_while_it_serves(cluster: Cluster, namespace: str, engine: RealEngine) -> None:
    def change(*names: str, **folders: str) -> None:
        """Adapters by name, each in the folder of its name, and others by name and folder."""
        by_name = dict(zip(names, names, strict=True)) | folders
        sources = [{"name": name, "source": f"pvc://{CLAIM}/{ADAPTERS}/{at}"} for name, at in by_name.items()]
        serve(cluster, engine, namespace, adapters=sources)

    first = starts(cluster, namespace)
    change()
    eventually(lambda: is_replaced(cluster, namespace, first), START_SECONDS)
    eventually(lambda: condition(cluster, namespace, "AdaptersReady")["status"] == "True")
    before = starts(cluster, namespace)
    pod = next(iter(before))

    def text(model: str) -> str:
        ((code, *_, said),) = answers(cluster, namespace, pod, model)
        assert code == 200, said
        return str(said)

    unknown = [404, "The model `rank-8` does not exist. Valid aliases: tiny."]
    plain, none = answers(cluster, namespace, pod, "tiny", "rank-8")
    assert none == unknown

    change("rank-8", "rank-64", "nowhere")
    eventually(lambda: told(cluster, namespace) == {"rank-8": "Loaded", "rank-64": "Failed", "nowhere": "Failed"}, 120)
    said = condition(cluster, namespace, "AdaptersReady")["message"]
    assert "LoRA rank 64 is greater than max_lora_rank 16." in said
    assert f"No adapter found for /models/{ADAPTERS}/nowhere" in said
    assert condition(cluster, namespace, "Ready")["status"] == "True"
    found = answers(cluster, namespace, pod, "tiny", "rank-8", "rank-64")
    assert [code for code, *_ in found] == [200, 200, 404]
    assert (found[0], found[1][1]) == (plain, "rank-8")
    assert found[1][2] != plain[2], "the adapter has changed nothing"

    change("nowhere")
    eventually(lambda: told(cluster, namespace) == {"nowhere": "Failed"}, 60)
    assert answers(cluster, namespace, pod, "tiny", "rank-8") == [plain, unknown]

    change(sql="rank-8")
    eventually(lambda: told(cluster, namespace) == {"sql": "Loaded"}, 60)
    assert text("sql") == found[1][2]
    change(sql="rank-4")
    eventually(lambda: text("sql") not in {plain[2], found[1][2]}, 60)
    second = text("sql")
    with away(engine.model / ADAPTERS / "rank-4"):
        assert text("sql") == second, "what was loaded is read again"
    change(sql="rank-64")
    eventually(lambda: told(cluster, namespace) == {"sql": "Failed"}, 60)
    assert text("sql") == second, "one that is refused leaves the old one"
    # The scaler may have added one meanwhile.
    assert before.items() <= starts(cluster, namespace).items()

    serve(cluster, engine, namespace)  # as the other tests expect it
    eventually(lambda: is_replaced(cluster, namespace, before), START_SECONDS)
