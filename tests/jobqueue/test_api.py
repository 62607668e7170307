"""The asynchronous API as its callers see it, over HTTP and on a real Redis."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from engineclient import Answer
from jobqueue.api import LARGEST_BODY, Api
from jobqueue.control import control_of_api
from jobqueue.metrics import ApiMetrics
from jobqueue.options import ServeOptions, parse
from jobqueue.store import Store, connect
from support.prometheus import free_port
from support.redis_servers import RedisServer, running_redis
from support.servers import listening

CHAT = "/v1/chat/completions"
BODY = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}
Got = tuple[int, Mapping[str, str], Any]


class Caller:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def post(self, path: str, body: Any = None, **headers: str) -> Got:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._session.post(self._url + path, data=io.BytesIO(data), headers=named) as answer:
            return answer.status, answer.headers, await answer.json()

    async def get(self, path: str, **headers: str) -> Got:
        async with self._session.get(self._url + path, headers=headers) as answer:
            return answer.status, answer.headers, await answer.json()


@contextlib.asynccontextmanager
async def api(store: Store, *arguments: str, key: str = "") -> AsyncIterator[Caller]:
    port = free_port()
    told = ["serve", "--name=team/llama", f"--port={port}", "--control-port=1", "--result-ttl=60", *arguments]
    if not any(argument.startswith("--max-queued") for argument in arguments):
        told.append("--max-queued=100")
    options = parse(told, {"REDIS_URL": "redis://not-used", "OPENAI_API_KEY": key})
    assert isinstance(options, ServeOptions)
    async with (
        listening(Api(options, store, ApiMetrics()).app(), port),
        aiohttp.ClientSession() as session,
    ):
        yield Caller(session, f"http://127.0.0.1:{port}")


async def answer_all(store: Store, answer: Answer) -> None:
    taken, _ = await store.take("worker", 10, room=1_000_000, lease=60, look_for_abandoned=False, max_attempts=3)
    for job in taken:
        await store.finish(job.id, answer)


@pytest.mark.parametrize("path", [CHAT, "/v1/completions", "/v1/embeddings"])
async def test_a_request_is_taken_as_a_job_and_its_answer_is_there_later(store: Store, path: str) -> None:
    async with api(store) as caller:
        status, headers, job = await caller.post(path, BODY)
        assert status == 202
        assert headers["Location"] == f"/v1/jobs/{job['id']}"
        assert (job["object"], job["endpoint"], job["status"], job["attempts"]) == ("job", path, "queued", 0)
        assert (job["response"], job["error"], job["finished_at"]) == (None, None, None)
        await answer_all(store, Answer(200, b'{"choices": []}', "application/json", "req-7"))
        status, _, job = await caller.get(headers["Location"])
    assert (status, job["status"], job["attempts"]) == (200, "completed", 1)
    assert job["response"] == {"status_code": 200, "request_id": "req-7", "body": {"choices": []}}
    assert job["expires_at"] - job["finished_at"] == pytest.approx(3600, abs=1)


@pytest.mark.parametrize("text", ["no such route", '{"embedding": [NaN]}', "[" * 100_000], ids=lambda text: text[:20])
async def test_an_answer_that_is_no_json_is_given_as_text(store: Store, text: str) -> None:
    async with api(store) as caller:
        _, headers, _ = await caller.post(CHAT, BODY)
        await answer_all(store, Answer(404, text.encode(), "text/plain", ""))
        _, _, job = await caller.get(headers["Location"])
    assert (job["status"], job["response"]["body"]) == ("failed", text)
    assert job["error"] == {"code": "engine_refused", "message": "the engine answered 404: see response"}


@pytest.mark.parametrize(
    ("body", "headers", "says"),
    [
        (b"{", {}, "not JSON"),
        (b"[" * 100_000, {}, "not JSON"),
        (b"[]", {}, "must be a JSON object"),
        (b'{"stream": true}', {}, "leave `stream` out"),
        (b"{}", {"Webhook_URL": "https://a.example/"}, "sends no webhooks"),
        (b"{}", {"Idempotency_Key": "k" * 256}, "more than 255 characters"),
    ],
)
async def test_what_can_be_no_job_is_refused_with_a_sentence(
    store: Store, body: bytes, headers: dict[str, str], says: str
) -> None:
    async with api(store) as caller:
        status, _, answer = await caller.post(CHAT, body, **headers)
    assert status == 400
    assert says in answer["error"]["message"]
    assert answer["error"]["type"] == "invalid_request_error"
    assert (await store.backlog()).queued == 0


async def test_webhooks_go_to_allowed_hosts_only(store: Store) -> None:
    async with api(store, "--webhooks", "--webhook-hosts=a.example,*.b.example") as caller:
        for url in ("https://a.example/x", "http://deep.b.example/"):
            assert (await caller.post(CHAT, BODY, Webhook_URL=url))[0] == 202
        for url in (
            "https://b.example/",
            "https://169.254.169.254/latest",
            "ftp://a.example/",
            "a.example",
            "http://[",
        ):
            status, _, answer = await caller.post(CHAT, BODY, Webhook_URL=url)
            assert (status, answer["error"]["param"]) == (400, "Webhook-URL")


async def test_a_full_queue_says_when_to_come_again(store: Store) -> None:
    async with api(store, "--max-queued=1") as caller:
        await caller.post(CHAT, BODY)
        status, headers, answer = await caller.post(CHAT, BODY)
    assert (status, headers["Retry-After"], answer["error"]["code"]) == (429, "10", "queue_full")


async def test_the_same_idempotency_key_is_the_same_job_and_none_for_another_request(store: Store) -> None:
    async with api(store) as caller:
        _, _, first = await caller.post(CHAT, BODY, Idempotency_Key="k1")
        status, _, again = await caller.post(CHAT, BODY, Idempotency_Key="k1")
        assert (status, again["id"]) == (202, first["id"])
        status, _, answer = await caller.post(CHAT, {**BODY, "seed": 1}, Idempotency_Key="k1")
        assert (status, answer["error"]["code"]) == (422, "idempotency_conflict")
        status, _, answer = await caller.post("/v1/completions", BODY, Idempotency_Key="k1")
        assert status == 422
    assert (await store.backlog()).queued == 1


async def test_a_job_can_be_cancelled_until_it_has_ended(store: Store) -> None:
    async with api(store) as caller:
        _, headers, _ = await caller.post(CHAT, BODY)
        for _ in range(2):
            status, _, job = await caller.post(headers["Location"] + "/cancel")
            assert (status, job["status"], job["response"]) == (200, "cancelled", None)
        _, headers, _ = await caller.post(CHAT, BODY)
        await answer_all(store, Answer(200, b"{}", "application/json", ""))
        status, _, answer = await caller.post(headers["Location"] + "/cancel")
    assert (status, answer["error"]["code"]) == (409, "job_ended")


async def test_a_job_that_is_not_there_is_not_found(store: Store) -> None:
    async with api(store) as caller:
        for got in (await caller.get("/v1/jobs/job_1"), await caller.post("/v1/jobs/job_1/cancel")):
            assert (got[0], got[2]["error"]["code"]) == (404, "job_not_found")


async def test_what_the_server_itself_refuses_has_the_same_form(store: Store) -> None:
    async with api(store) as caller:
        status, _, answer = await caller.get("/v1/models")
        assert (status, answer["error"]["code"]) == (404, "not_found")
        status, _, answer = await caller.get(CHAT)
        assert (status, answer["error"]["code"]) == (405, "method_not_allowed")
        status, _, answer = await caller.post(CHAT, b"x" * (LARGEST_BODY + 1))
        assert (status, answer["error"]["code"]) == (413, "request_entity_too_large")


async def test_what_nobody_thought_of_has_the_same_form(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def break_down(_: str) -> None:
        raise RuntimeError("who would have thought")

    monkeypatch.setattr(store, "job", break_down)
    async with api(store) as caller:
        status, _, answer = await caller.get("/v1/jobs/job_1")
    assert (status, answer["error"]["type"], answer["error"]["code"]) == (500, "server_error", "internal_error")
    assert "thought" not in answer["error"]["message"]


async def test_an_endpoint_with_a_key_asks_for_it(store: Store) -> None:
    async with api(store, key="sk-1") as caller:
        for shown in ({}, {"Authorization": "Bearer sk-2"}):
            status, _, answer = await caller.post(CHAT, BODY, **shown)
            assert (status, answer["error"]["code"]) == (401, "invalid_api_key")
            assert (await caller.get("/v1/jobs/job_1", **shown))[0] == 401
        assert (await caller.post(CHAT, BODY, Authorization="Bearer sk-1"))[0] == 202


async def test_jobs_are_refused_while_redis_is_away_and_all_are_there_afterwards(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        async with connect(server.url) as redis, api(Store(redis, "team/llama", 60)) as caller:
            _, headers, _ = await caller.post(CHAT, BODY)
            server.kill()
            for got in (await caller.post(CHAT, BODY), await caller.get(headers["Location"])):
                assert (got[0], got[1]["Retry-After"], got[2]["error"]["code"]) == (503, "10", "queue_unavailable")
            server.start()
            status, _, job = await caller.get(headers["Location"])
            assert (status, job["status"]) == (200, "queued")


async def test_two_endpoints_in_one_redis_know_nothing_of_each_other(redis_server: RedisServer) -> None:
    async with connect(redis_server.url) as redis:
        one, other = (Store(redis, name, 60) for name in ("team/one", "team/other"))
        async with api(one) as caller, api(other) as stranger:
            _, headers, _ = await caller.post(CHAT, BODY, Idempotency_Key="k")
            assert (await stranger.get(headers["Location"]))[0] == 404
            assert (await stranger.post(CHAT, {}, Idempotency_Key="k"))[0] == 202


async def test_who_asks_for_the_backlog_may_wait_for_a_job(store: Store) -> None:
    port = free_port()
    async with (
        listening(control_of_api(store, ApiMetrics()), port),
        api(store) as caller,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as operator,
    ):
        async with operator.get("/backlog?seconds=0.01") as answer:
            assert await answer.json() == {"queued": 0, "inProgress": 0, "oldestSeconds": 0.0}
        async with asyncio.timeout(20):
            watch = asyncio.create_task(operator.get("/backlog?seconds=60"))
            await caller.post(CHAT, BODY)
            assert (await (await watch).json())["queued"] == 1
        for wrong in ("soon", "nan", "-1", "61"):
            async with operator.get(f"/backlog?seconds={wrong}") as answer:
                assert (answer.status, await answer.text()) == (400, "seconds must be a number from 0 to 60")


async def test_an_api_that_ends_lets_nobody_wait_for_a_job(store: Store) -> None:
    port = free_port()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as operator:
        async with listening(control_of_api(store, ApiMetrics()), port, shutdown_timeout=5.0):
            watch = asyncio.create_task(operator.get("/backlog?seconds=60"))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await asyncio.shield(watch)
        assert (await (await watch).json())["queued"] == 0


async def test_a_backlog_that_can_not_be_read_is_unknown(tmp_path: Path) -> None:
    port, metrics = free_port(), ApiMetrics()
    with running_redis(tmp_path) as server:
        async with (
            connect(server.url) as redis,
            listening(control_of_api(Store(redis, "team/llama", 60), metrics), port),
            aiohttp.ClientSession(f"http://127.0.0.1:{port}") as operator,
        ):
            async with operator.get("/metrics") as answer:
                assert "llmendpoint_jobs_queued 0.0" in await answer.text()
            server.kill()
            async with operator.get("/backlog?seconds=60") as answer:
                assert answer.status == 503
            async with operator.get("/metrics") as answer:
                assert "llmendpoint_jobs_queued " not in await answer.text()
            async with operator.get("/readyz") as answer:
                assert answer.status == 200
