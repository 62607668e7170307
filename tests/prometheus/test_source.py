"""Engines read through a real Prometheus server: the same numbers as from the pods, and each kind of nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from llmendpoint.api.serving import EngineType
from llmendpoint.engines import engine_for
from llmendpoint.metrics import prometheus_server
from llmendpoint.metrics.exporter import Exporter
from llmendpoint.metrics.prometheus import PrometheusReader
from llmendpoint.metrics.prometheus_server import PrometheusServer, Unanswered
from llmendpoint.metrics.scrape import PodScraper
from llmendpoint.metrics.source import EndpointReading, EndpointTarget, PodTarget
from llmendpoint.scaling.signals import EngineSample
from support.builders import scaling
from support.prometheus import Prometheus, Simulator, free_port, running_simulator

BY_TTFT = [{"type": "TTFTP95Seconds", "value": 1}]
STALE_SECONDS = 30.0
ENDPOINTS = 15


@dataclass(frozen=True)
class Engines:
    """Engine simulators, each scraped as a pod of namespace ``team``: ``vllm`` is pod vllm-engine-1, and so on.

    Pod twice-engine-1 is ``vllm`` again, scraped by two jobs.
    """

    vllm: Simulator
    tgi: Simulator
    sglang: Simulator
    unused: Simulator
    ill: Simulator


@pytest.fixture(scope="module")
def engines(prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    logs = tmp_path_factory.mktemp("engines")
    with (
        running_simulator(logs, "vllm", "serve", "m", "--max-num-seqs=2") as vllm,
        running_simulator(logs, "tgi", "--max-batch-size=2") as tgi,
        running_simulator(
            logs, "sglang", "serve", "--model-path=m", "--max-running-requests=2", "--enable-metrics"
        ) as sglang,
        running_simulator(logs, "tgi") as unused,
        running_simulator(logs, "vllm", "serve", "m") as ill,
    ):
        # All at once: Prometheus takes new targets in every five seconds.
        pods = {"vllm": vllm, "twice": vllm, "tgi": tgi, "sglang": sglang, "unused": unused, "ill": ill}
        # One that costs next to nothing to scrape, or the engine under test would be slow to answer.
        many = {(f"team-{index}", "unused-engine-1"): unused.address for index in range(ENDPOINTS)}
        prometheus.scrape({("team", f"{name}-engine-1"): engine.address for name, engine in pods.items()} | many)
        prometheus.scrape({("team", "twice-engine-1"): vllm.address}, job="again")
        yield Engines(vllm, tgi, sglang, unused, ill)


def endpoint(
    url: str, name: str, engine: EngineType = "vLLM", *, address: str = "", namespace: str = "team",
    targets: Any = BY_TTFT, policy: str = "TargetTracking",
) -> EndpointTarget:  # fmt: skip
    metrics = {"source": "Prometheus", "prometheus": {"url": url}}
    settings = scaling(policy=policy, targets=targets, metrics=metrics)
    return EndpointTarget(namespace, name, engine, settings, [PodTarget(f"{name}-engine-1", address)])


async def read(target: EndpointTarget, *, stale_seconds: float = STALE_SECONDS) -> EndpointReading:
    return (await PrometheusReader(stale_seconds=stale_seconds, clock=time.time).read([target]))[0]


def error(reading: EndpointReading) -> str:
    """Why the one pod could not be read."""
    assert not reading.samples
    return next(iter(reading.errors.values()))


async def scraped(target: EndpointTarget, *, after: float = 0.0) -> EngineSample:
    """The one pod's sample, of a scrape after a time."""
    async with asyncio.timeout(30):
        while True:
            sample = next(iter((await read(target)).samples.values()), None)
            if sample is not None and sample.taken_at > after:
                return sample
            await asyncio.sleep(0.2)


async def failing(target: EndpointTarget) -> EndpointReading:
    """A reading with an error."""
    async with asyncio.timeout(30):
        while not (reading := await read(target)).errors:
            await asyncio.sleep(0.2)
    return reading


async def from_pod(target: EndpointTarget) -> EngineSample:
    """The one pod's sample, read from itself."""
    async with aiohttp.ClientSession() as session:
        reading = (await PodScraper(session, Exporter(), timeout=3.0, clock=time.time).read([target]))[0]
    return next(iter(reading.samples.values()))


@pytest.mark.parametrize(("name", "kind"), [("vllm", "vLLM"), ("tgi", "TGI"), ("sglang", "SGLang"), ("twice", "vLLM")])
async def test_a_loaded_engine_reads_as_from_its_pod_however_many_jobs_scrape_it(
    prometheus: Prometheus, engines: Engines, name: str, kind: EngineType
) -> None:
    engine = engines.vllm if name == "twice" else getattr(engines, name)
    target = endpoint(prometheus.url, name, kind, address=engine.address)
    up = f'up{{namespace="team", pod="{name}-engine-1"}}'
    await scraped(target)
    async with asyncio.timeout(30):
        while len(prometheus.values(up)) != (2 if name == "twice" else 1):  # by each job
            await asyncio.sleep(0.2)
    await asyncio.to_thread(engine.complete, 5)
    with engine.busy(5):
        engine.set_faults(hang=True)  # what it shows stays as it is
        try:
            began = time.time()
            async with asyncio.timeout(30):
                while min(prometheus.values(f"timestamp({up})")) <= began:
                    await asyncio.sleep(0.2)
            through = await scraped(target)
            direct = await from_pod(target)
        finally:
            engine.set_faults(hang=False)
    assert (direct.in_flight, direct.requests_total >= 1) == (5.0, True)
    # Waits in the queue are only asked for where the Demand policy reads them.
    assert through == direct._replace(taken_at=through.taken_at, queued_total=0.0, late_total=0.0)
    by_demand = await scraped(endpoint(prometheus.url, name, kind, policy="Demand", targets=[]))
    assert (by_demand.queued_total, by_demand.late_total) == (direct.queued_total, direct.late_total)


async def test_an_engine_that_nobody_has_used_is_idle_and_not_unknown(prometheus: Prometheus, engines: Engines) -> None:
    target = endpoint(prometheus.url, "unused", "TGI")
    assert (await scraped(target)).in_flight == 0


PROMQL = [
    # what, query, value, part of the reason
    ("of-this-endpoint", 'sum(up{namespace="$namespace", pod="$name-engine-1"}) * 3', 3.0, None),
    ("a-scalar", "scalar(vector(7))", 7.0, None),
    ("a-number", "2", 2.0, None),
    ("a-rate-over-nothing", "vector(0) / vector(0)", "NaN", None),
    ("no-result", "nothing_of_that_name", None, "no result"),
    ("several", "up or vector(1)", None, "reduce them to one"),
    ("a-range", "up[1m]", None, "a range"),
    ("a-text", '"seven"', None, "a text"),
    ("by-zero", "vector(1) / 0", None, "infinite"),
    ("not-promql", "sum(up", None, "parse error"),
]


@pytest.mark.parametrize(("query", "value", "why"), [case[1:] for case in PROMQL], ids=[case[0] for case in PROMQL])
async def test_a_promql_target_gives_one_number_or_says_why(
    prometheus: Prometheus, engines: Engines, query: str, value: Any, why: str | None
) -> None:
    other = endpoint(prometheus.url, "ill")
    await scraped(other)
    asks = endpoint(prometheus.url, "vllm", targets=[*BY_TTFT, {"type": "PromQL", "value": 1, "query": query}])
    await scraped(asks)
    reading, untouched = await PrometheusReader(stale_seconds=STALE_SECONDS, clock=time.time).read([asks, other])
    assert (reading.custom[0], str(reading.custom[1])) == (None, "nan" if value == "NaN" else str(value))
    if why is None:
        assert not reading.unanswered
    else:
        (said,) = reading.unanswered
        assert said.startswith("PromQL target 2: ")
        assert why in said
    # A query that is wrong is nobody else's trouble, and not that of the other signals.
    assert reading.samples
    assert untouched.samples


async def test_a_pod_that_is_not_scraped_is_unknown(prometheus: Prometheus) -> None:
    why = error(await read(endpoint(prometheus.url, "nobody")))
    assert "no target with the labels namespace=team and pod=nobody-engine-1" in why
    assert "let a PodMonitor select the engine pods" in why


@pytest.mark.parametrize(
    ("fault", "well", "sentence"),
    [
        ({"metrics_seconds": 3}, {"metrics_seconds": 0}, "could not scrape the pod"),
        ({"metrics_missing": True}, {"metrics_missing": False}, "without any vllm: metric"),
    ],
    ids=["the-scrape-fails", "another-page"],
)
async def test_an_engine_that_shows_nothing_is_unknown_at_once(
    prometheus: Prometheus, engines: Engines, fault: dict[str, Any], well: dict[str, Any], sentence: str
) -> None:
    target = endpoint(prometheus.url, "ill")
    await scraped(target)
    engines.ill.set_faults(**fault)
    try:
        assert sentence in error(await failing(target))
    finally:
        engines.ill.set_faults(**well)
    await scraped(target, after=time.time())


async def test_a_scrape_that_fails_while_prometheus_is_asked_is_one_that_failed() -> None:
    up = iter((time.time(), 0.0))

    async def answer(request: web.Request) -> web.Response:
        labels = {"namespace": "team", "pod": "ill-engine-1"}
        rows = [{"metric": labels, "value": [0, str(next(up))]}] if "up{" in request.query["query"] else []
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": rows}})

    async with answering(answer) as url:
        assert "could not scrape the pod" in error(await read(endpoint(url, "ill")))


async def test_a_proxy_that_passes_on_queries_alone_is_enough(prometheus: Prometheus, engines: Engines) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path != "/api/v1/query":
            return web.Response(status=404, text="404 page not found")
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{prometheus.url}{request.path}", params=request.query) as found,
        ):
            return web.Response(status=found.status, body=await found.read(), content_type=found.content_type)

    await scraped(endpoint(prometheus.url, "vllm"))
    async with answering(answer) as url:
        through = await scraped(endpoint(url, "vllm", policy="Demand", targets=[]))
    assert through.queued_total >= 1


async def test_a_sample_that_is_too_old_is_unknown(prometheus: Prometheus, engines: Engines) -> None:
    target = endpoint(prometheus.url, "vllm")
    await scraped(target)
    assert "shorten the scrape interval" in error(await read(target, stale_seconds=0.0))


async def test_a_server_that_is_gone_is_reported_in_the_same_words_each_time() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    reader = PrometheusReader(stale_seconds=STALE_SECONDS, clock=time.time)
    target = endpoint(url, "vllm", targets=[{"type": "PromQL", "value": 1, "query": "up"}])
    first, second = [(await reader.read([target]))[0] for _ in range(2)]
    # Another text would be another status to write at every tick.
    assert first == second
    assert f"Prometheus at {url} can not be reached" in error(first)
    assert "Connection refused" in error(first)
    assert first.unanswered == (f"PromQL target 1: {error(first)}",)


@asynccontextmanager
async def answering(respond: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/{path:.*}", respond)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def impostor(status: int, body: str, *, seconds: float = 0.0) -> AsyncIterator[str]:
    """The address of a server that is no Prometheus."""

    async def answer(_: web.Request) -> web.Response:
        await asyncio.sleep(seconds)
        return web.Response(status=status, text=body)

    async with answering(answer) as url:
        yield url


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, "<html>"),
        (200, "[]"),
        (200, '{"data": {}}'),
        (200, '{"data": {"result": {}}}'),
        (200, '{"data": {"result": [1]}}'),
        (200, '{"data": {"result": [{"metric": 1, "value": 2}]}}'),
        (401, "secret"),
        (401, '{"message": "secret"}'),
    ],
)
async def test_another_server_is_not_believed_and_not_quoted(status: int, body: str) -> None:
    async with impostor(status, body) as url:
        reading = await read(endpoint(url, "vllm", targets=[{"type": "PromQL", "value": 1, "query": "up"}]))
    for why in (error(reading), *reading.unanswered):
        assert "check scaling.metrics.prometheus.url" in why
        assert "secret" not in why
    assert reading.custom == (None,)


async def test_a_redirect_is_not_followed(prometheus: Prometheus) -> None:
    async def redirect(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(f"{prometheus.url}{request.path_qs}")

    async with answering(redirect) as url:
        reading = await read(endpoint(url, "vllm"))
    assert "redirects, which is not followed: let scaling.metrics.prometheus.url be where it leads to" in error(reading)


async def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus_server, "LARGEST_ANSWER", 1 << 20)
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            while sent < 1 << 28:
                await response.write(b" " * 65536)
                sent += 65536
        return response

    async with answering(endless) as url:
        reading = await read(endpoint(url, "vllm"))
    assert "answers with more than 1 MiB: check scaling.metrics.prometheus.url" in error(reading)
    assert sent < 1 << 28


async def test_an_answer_that_trickles_frees_its_thread() -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000000"})
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b" ")
                await asyncio.sleep(0.05)
        return response

    async with answering(trickle) as url:
        server = PrometheusServer(url, timeout=0.5)
        with pytest.raises(Unanswered, match="did not answer within"):
            await asyncio.wait_for(server.ask("up", 0.0), 10)
        server.close()


async def test_an_address_that_can_not_be_read_is_reported() -> None:
    assert "check scaling.metrics.prometheus.url" in error(await read(endpoint("http://[", "vllm")))


async def test_a_server_that_hangs_holds_up_neither_the_loop_nor_the_reading_for_long(
    prometheus: Prometheus, engines: Engines
) -> None:
    well = endpoint(prometheus.url, "vllm")
    await scraped(well)
    beats: list[float] = []

    async def beat() -> None:
        while True:
            beats.append(time.monotonic())
            await asyncio.sleep(0.01)

    async with impostor(200, "", seconds=5.0) as url:
        reader = PrometheusReader(stale_seconds=STALE_SECONDS, clock=time.time, timeout=2.0)
        heart, began = asyncio.create_task(beat()), time.monotonic()
        hanging, answered = await reader.read([endpoint(url, "ill"), well])
        took = time.monotonic() - began
        heart.cancel()
    assert error(hanging) == f"Prometheus at {url} did not answer within 2 s"
    assert answered.samples
    assert took < 4.0
    assert max(after - before for before, after in pairwise(beats)) < 1.0


async def test_more_endpoints_ask_no_more_queries(prometheus: Prometheus, engines: Engines) -> None:
    targets = [endpoint(prometheus.url, "unused", "TGI", namespace=f"team-{index}") for index in range(ENDPOINTS)]
    for target in targets:
        await scraped(target)
    reader, counts = PrometheusReader(stale_seconds=STALE_SECONDS, clock=time.time), []
    for some in (targets[:1], targets):
        before = prometheus.queries_answered
        assert all(reading.samples for reading in await reader.read(some))
        counts.append(prometheus.queries_answered - before)
    metrics = engine_for("TGI").metrics
    names = len(metrics.wanted.difference(metrics.histograms))
    assert counts == [names + 2, names + 2]  # one for each name, and the times of the scrapes before and after
