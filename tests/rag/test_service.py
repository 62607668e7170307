"""The HTTP API over real sockets, with a scripted LLM behind it."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from rag.store import Store
from support.prometheus import free_port
from support.rag_services import CORPUS, serving, settings, until_ready
from support.scripted_llm import ScriptedLlm, scripted
from support.servers import listening

Server = tuple[ScriptedLlm, str]
QUESTION = {"query": "What did Ada Brandt write about cold starts?"}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def served(ingested: Path) -> AsyncIterator[tuple[ScriptedLlm, str, httpx.AsyncClient]]:
    """One service for the module, for most of a start is loading models."""
    server = ScriptedLlm()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with listening(server.app(), port), serving(settings(ingested, llm_base_url=url)) as client:
        await until_ready(client)
        yield server, url, client


@pytest.fixture
def llm(served: tuple[ScriptedLlm, str, httpx.AsyncClient]) -> Server:
    """The LLM as it was made."""
    server, url, _ = served
    vars(server).update(vars(ScriptedLlm()))
    return server, url


@pytest.fixture
def service(llm: Server, served: tuple[ScriptedLlm, str, httpx.AsyncClient]) -> httpx.AsyncClient:
    return served[2]


def events(text: str) -> list[tuple[str, dict[str, object]]]:
    blocks = [block.split("\n") for block in text.strip().split("\n\n")]
    return [(block[0].removeprefix("event: "), json.loads(block[1].removeprefix("data: "))) for block in blocks]


async def test_an_answer_names_its_sources_and_its_times(llm: Server, service: httpx.AsyncClient) -> None:
    answer = (await service.post("/rag", json=QUESTION)).json()
    assert answer["answer"] == "It is in Where the ninety seconds of a cold start go by Ada Brandt [1]."
    first = answer["sources"][0]
    assert first.keys() == {"id", "title", "url", "category", "author", "score"}
    assert (first["id"], first["url"]) == (1, "https://adabrandt.example/posts/cold-starts")
    assert {source["author"] for source in answer["sources"]} == {"Ada Brandt"}
    assert answer["degraded"] == []
    assert answer["timings"].keys() == {"selfQuery", "expansion", "retrieval", "rerank", "generation", "total"}
    assert all(seconds > 0 for seconds in answer["timings"].values())
    assert len(llm[0].requests) == 3, "self-query, expansion, answer"


async def test_a_stream_brings_sources_then_tokens_then_the_end(service: httpx.AsyncClient) -> None:
    response = await service.post("/rag/stream", json=QUESTION)
    assert response.headers["content-type"].startswith("text/event-stream")
    came = events(response.text)
    assert [name for name, _ in came] == ["sources", *["token"] * (len(came) - 2), "done"]
    assert "".join(str(data["text"]) for name, data in came if name == "token").startswith("It is in Where")
    assert came[-1][1]["timings"]["generation"] > 0  # type: ignore[index]
    same = await service.post("/rag", json={**QUESTION, "stream": True})
    assert [name for name, _ in events(same.text)] == [name for name, _ in came]


async def test_noise_from_the_llm_is_survived_and_said(llm: Server, service: httpx.AsyncClient) -> None:
    llm[0].reply = lambda _: "lorem " * 30
    answer = (await service.post("/rag", json=QUESTION)).json()
    assert {source["author"] for source in answer["sources"]} == {"Ada Brandt"}
    assert [sentence.split(":")[0] for sentence in answer["degraded"]] == ["self-query", "expansion"]


async def test_an_llm_that_fails_at_first_costs_the_optional_steps(llm: Server, service: httpx.AsyncClient) -> None:
    llm[0].statuses = [500, 500]
    answer = (await service.post("/rag", json=QUESTION)).json()
    assert answer["answer"].endswith("[1].")
    assert sorted(sentence.split(":")[0] for sentence in answer["degraded"]) == ["expansion", "self-query"]


async def test_a_source_that_is_cited_and_not_there_is_said(llm: Server, service: httpx.AsyncClient) -> None:
    llm[0].reply = lambda messages: "So [2] and [77]." if "Sources:" in messages[1]["content"] else scripted(messages)
    answer = (await service.post("/rag", json=QUESTION)).json()
    assert answer["sources"][0]["id"] == 2
    assert answer["degraded"] == ["generation: the answer names sources that there are not: [77]"]
    came = events((await service.post("/rag/stream", json=QUESTION)).text)
    assert came[-1][1]["degraded"] == answer["degraded"]


@pytest.mark.parametrize("path", ["/rag", "/rag/stream"])
async def test_a_client_that_leaves_ends_the_llms_work(llm: Server, service: httpx.AsyncClient, path: str) -> None:
    asking = asyncio.create_task(service.post(path, json={"query": "vector search"}))
    async with asyncio.timeout(20):
        while len(llm[0].requests) < 2:
            await asyncio.sleep(0.01)
        llm[0].hold = True
        while len(llm[0].requests) < 3:
            await asyncio.sleep(0.01)
        asking.cancel()
        while not llm[0].left:
            await asyncio.sleep(0.01)
    llm[0].hold = False
    assert (await service.get("/healthz")).status_code == 200
    assert "rag_requests_in_flight 0.0" in (await service.get("/metrics")).text


@pytest.mark.parametrize(
    ("content", "code", "sentence"),
    [
        (b'{"query": ""}', 422, "query: String should have at least 1 character"),
        (b'{"query": "   "}', 422, "query: String should have at least 1 character"),
        (b"{}", 422, "query: Field required"),
        (b'{"query": 7}', 422, "query: Input should be a valid string"),
        (b"{not json", 422, "JSON decode error"),
        (b"", 422, "the body: Field required"),
        (b'{"query": "' + b"x" * 5000 + b'"}', 422, "at most 4000 characters"),
        (b'{"query": "' + b"x" * 10_000_000 + b'"}', 413, "more than 65,536 bytes"),
    ],
)
async def test_a_bad_question_is_refused_with_a_sentence(
    service: httpx.AsyncClient, content: bytes, code: int, sentence: str
) -> None:
    response = await service.post("/rag", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == code
    assert sentence in response.json()["error"]["message"]


async def test_a_large_body_of_unknown_length_is_refused_as_well(service: httpx.AsyncClient) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b'{"query": "'
        for _ in range(100):
            yield b"x" * 10_000

    response = await service.post("/rag", content=parts(), headers={"Content-Type": "application/json"})
    assert response.status_code == 413


@pytest.fixture
def copied(ingested: Path, tmp_path: Path) -> Path:
    """The corpus for a service of a test's own: an embedded store has one owner."""
    return Path(shutil.copytree(ingested, tmp_path / "copied", ignore=shutil.ignore_patterns(".lock")))


async def test_no_engine_is_a_503_with_a_sentence(copied: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    changes = {"llm_base_url": url, "budget_seconds": 4.0, "step_seconds": 0.3, "generation_reserve_seconds": 1.0}
    async with serving(settings(copied, **changes)) as client:
        await until_ready(client)
        response = await client.post("/rag", json=QUESTION)
        assert response.status_code == 503
        assert response.headers["retry-after"] == "2"
        assert f"The LLM at {url}/v1/chat/completions does not answer" in response.json()["error"]["message"]
        came = events((await client.post("/rag/stream", json=QUESTION)).text)
        assert [name for name, _ in came] == ["sources", "error"]
        assert "does not answer" in str(came[1][1])


async def test_a_short_budget_leaves_steps_out_and_bounds_the_answer(llm: Server, copied: Path) -> None:
    llm[0].hold = True
    configuration = settings(copied, llm_base_url=llm[1], budget_seconds=2.0, generation_reserve_seconds=5.0)
    async with serving(configuration) as client:
        await until_ready(client)
        began = asyncio.get_running_loop().time()
        response = await client.post("/rag", json=QUESTION)
        assert response.status_code == 504
        assert "budget" in response.json()["error"]["message"].lower()
        assert asyncio.get_running_loop().time() - began < 4
        assert len(llm[0].requests) == 1, "only the answer was asked for"
    llm[0].hold = False


async def test_a_store_that_is_away_is_said_by_the_health_check(llm: Server, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with serving(settings(tmp_path, llm_base_url=llm[1], qdrant_url=url)) as client:
        async with asyncio.timeout(20):
            while url not in (health := await client.get("/healthz")).text:
                assert health.status_code == 503
                await asyncio.sleep(0.05)
        assert f"the vector store at {url} does not answer" in health.json()["message"]
        refused = await client.post("/rag", json=QUESTION)
        assert refused.status_code == 503
        assert "does not answer" in refused.json()["error"]["message"]


async def test_an_empty_store_is_filled_from_the_corpus_folder(llm: Server, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    (folder / "posts").mkdir(parents=True)
    (folder / "posts" / "a.md").write_text((CORPUS / "posts" / "ada-cold-starts.md").read_text())
    async with serving(settings(tmp_path / "s", llm_base_url=llm[1], corpus_dir=folder)) as client:
        await until_ready(client)
        answer = (await client.post("/rag", json=QUESTION)).json()
        assert [source["title"] for source in answer["sources"]] == ["Where the ninety seconds of a cold start go"]


async def test_without_documents_the_llm_is_not_asked(llm: Server, tmp_path: Path) -> None:
    async with serving(settings(tmp_path / "s", llm_base_url=llm[1], queries=1)) as client:
        await until_ready(client)
        answer = (await client.post("/rag", json=QUESTION)).json()
        assert (answer["answer"], answer["sources"]) == ("No document says anything about that.", [])
        assert llm[0].requests == []


async def test_what_nobody_foresaw_is_an_error_and_not_a_client_that_left(
    llm: Server, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise TypeError("query text")

    async with serving(settings(copied, llm_base_url=llm[1])) as client:
        await until_ready(client)
        monkeypatch.setattr(Store, "search", fails)
        came = events((await client.post("/rag/stream", json=QUESTION)).text)
        assert came == [
            ("error", {"error": {"message": "The service failed in a way that nobody foresaw: its log tells where."}})
        ]
        response = await client.post("/rag", json=QUESTION)
        assert response.status_code == 500
        assert "nobody foresaw" in response.json()["error"]["message"]


async def test_what_is_not_there_is_said_in_the_same_form(service: httpx.AsyncClient) -> None:
    assert (await service.get("/nothing")).json() == {"error": {"message": "Not Found"}}
    assert (await service.get("/rag")).json() == {"error": {"message": "Method Not Allowed"}}


async def test_the_api_describes_itself(service: httpx.AsyncClient) -> None:
    description = (await service.get("/openapi.json")).json()
    assert {"/rag", "/rag/stream", "/healthz"} <= description["paths"].keys()
    assert {"200", "413", "422", "502", "503", "504"} <= description["paths"]["/rag"]["post"]["responses"].keys()
    streamed = description["paths"]["/rag/stream"]["post"]["responses"]
    assert streamed["200"]["content"].keys() == {"text/event-stream"}
    assert streamed.keys() == {"200", "413", "422", "503"}, "later failures are events"
    assert (await service.get("/docs")).status_code == 200
    exposed = (await service.get("/metrics")).text
    assert "rag_step_seconds_bucket" in exposed
    assert 'step="self-query"' not in exposed, "a step has one name"
