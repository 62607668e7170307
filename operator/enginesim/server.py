"""The HTTP side: the routes that clients, probes and scrapers use, with the status codes of the real engines."""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from enginesim.adapters import Adapters
from enginesim.batching import Batcher, Request
from enginesim.faults import Faults
from enginesim.group import Group, follow
from enginesim.options import Flavour, Options
from enginesim.quoting import quotation
from enginesim.sglang_metrics import SglangMetrics
from enginesim.tgi_metrics import TgiMetrics
from enginesim.vllm_metrics import VllmMetrics

DEFAULT_MAX_TOKENS = 16
METRICS: dict[Flavour, type[VllmMetrics | TgiMetrics | SglangMetrics]] = {
    "vllm": VllmMetrics, "tgi": TgiMetrics, "sglang": SglangMetrics,
}  # fmt: skip
BUSY: dict[Flavour, tuple[int, str]] = {
    "vllm": (503, "The engine is currently busy"),
    "tgi": (429, "Model is overloaded"),
    "sglang": (503, "The request queue is full."),
}
# How often SGLang looks whether its last request is done.
SGLANG_DRAIN_SECONDS = 5.0


class Server:
    """One simulated engine."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._metrics = METRICS[options.flavour](options)
        self.batcher = Batcher(options.hardware, options.max_sequences, options.max_batched_tokens, self._metrics)
        self._faults = Faults()
        self._adapters = Adapters(options)
        self.draining = False

    def app(self) -> web.Application:
        """All routes."""
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.add_routes(
            [
                web.get("/health", self._health),
                web.get("/ping", self._health),
                web.get("/metrics", self._metrics_text),
                web.get("/v1/models", self._models),
                web.post("/v1/chat/completions", self._chat),
                web.post("/v1/completions", self._complete),
                web.post("/enginesim/faults", self._set_faults),
                *self._adapters.routes(),
            ]
        )
        if self._options.flavour == "tgi":
            app.add_routes([web.get("/info", self._info), web.post("/generate_stream", self._generate_stream)])
        else:
            app.add_routes([web.get("/version", self._version)])
        return app

    async def _health(self, _: web.Request) -> web.Response:
        leaves = self.draining and self._options.flavour == "sglang"
        return web.Response(status=503 if self._faults.unhealthy or leaves else 200)

    async def _metrics_text(self, _: web.Request) -> web.Response:
        await asyncio.sleep(self._faults.metrics_seconds)
        if self._faults.metrics_missing or not self._options.statistics:
            return web.Response(text="# TYPE python_info gauge\npython_info 1\n")
        running, waiting = self.batcher.running, self.batcher.waiting
        if isinstance(self._metrics, VllmMetrics):
            self._metrics.adapters(*({job.adapter for job in jobs if job.adapter} for jobs in (running, waiting)))
        body = self._metrics.text(running=len(running), waiting=len(waiting), kv_usage=self.batcher.kv_usage)
        return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _models(self, request: web.Request) -> web.Response:
        if (refused := self._unauthorized(request)) is not None:
            return refused
        models = [
            {"id": name, "object": "model", "owned_by": "enginesim", "root": self._options.model}
            | {"max_model_len": self._options.max_model_len}
            for name in self._options.served_names
        ]
        return web.json_response({"object": "list", "data": [*models, *self._adapters.cards()]})

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": "0.32.0"})

    async def _info(self, _: web.Request) -> web.Response:
        return web.json_response(
            {"model_id": self._options.model, "max_total_tokens": self._options.max_model_len, "version": "3.3.7"}
        )

    async def _set_faults(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        for name, code in (("crash", 1), ("oom", 137)):
            if wanted.pop(name, False):
                asyncio.get_running_loop().call_later(0.1, os._exit, code)
        try:
            self._faults.update(wanted)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        self.batcher.hangs = self._faults.hang
        return web.json_response({"ok": True})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        text = "\n".join(str(message.get("content", "")) for message in body.get("messages", []))
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or DEFAULT_MAX_TOKENS
        return await self._answer(request, body, text, int(limit), chat=True)

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        limit = int(body.get("max_tokens") or DEFAULT_MAX_TOKENS)
        return await self._answer(request, body, str(body.get("prompt", "")), limit, chat=False)

    async def _generate_stream(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        limit = int((body.get("parameters") or {}).get("max_new_tokens") or DEFAULT_MAX_TOKENS)
        return await self._answer(request, {"stream": True}, str(body.get("inputs", "")), limit, chat=False)

    async def _answer(
        self, request: web.Request, body: Mapping[str, Any], prompt: str, limit: int, *, chat: bool
    ) -> web.StreamResponse:
        refused = self._unauthorized(request) or self._refusal(body, limit)
        if refused is not None:
            return refused
        job = Request(
            prompt_tokens=max(len(prompt) // 4, 1),
            max_tokens=limit,
            streams=bool(body.get("stream")),
            adapter=self._adapters.of(str(body.get("model") or "")),
        )
        if self._options.quotes and (words := quotation(prompt)):
            job.answer, job.max_tokens = words, min(limit, len(words))
        self.batcher.submit(job)
        try:
            if body.get("stream"):
                return await self._stream(request, job, chat=chat)
            return await self._whole(job, chat=chat)
        finally:
            self.batcher.abort(job)

    async def _stream(self, request: web.Request, job: Request, *, chat: bool) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await response.prepare(request)
        while (number := await job.tokens.get()) is not None:
            await response.write(_event(self._chunk(number, job, chat=chat)))
        if job.cut:
            error = {"message": "EngineCore was shut down", "type": "InternalServerError", "code": 500}
            await response.write(_event({"error": error}))
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async def _whole(self, job: Request, *, chat: bool) -> web.Response:
        while await job.tokens.get() is not None:
            pass
        if job.cut:
            return _error(500, "EngineCore was shut down")
        text = "".join(map(job.token, range(1, job.generated + 1)))
        choice: dict[str, Any] = {"index": 0, "finish_reason": job.reason}
        choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        usage = {
            "prompt_tokens": job.prompt_tokens,
            "completion_tokens": job.generated,
            "total_tokens": job.prompt_tokens + job.generated,
        }
        return web.json_response(
            {"id": f"cmpl-{id(job):x}", "object": "chat.completion" if chat else "text_completion",
             "created": int(time.time()), "model": job.adapter or self._options.served_names[0], "choices": [choice],
             "usage": usage}
        )  # fmt: skip

    def _chunk(self, number: int, job: Request, *, chat: bool) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "finish_reason": job.reason if number == job.max_tokens else None}
        choice |= {"delta": {"content": job.token(number)}} if chat else {"text": job.token(number)}
        return {
            "id": f"cmpl-{id(job):x}",
            "object": "chat.completion.chunk" if chat else "text_completion",
            "created": int(time.time()),
            "model": job.adapter or self._options.served_names[0],
            "choices": [choice],
        }

    def _unauthorized(self, request: web.Request) -> web.Response | None:
        key = self._options.api_key
        if key and request.headers.get("Authorization") != f"Bearer {key}":
            return web.json_response({"error": "Unauthorized"}, status=401)
        return None

    def _refusal(self, body: Mapping[str, Any], limit: int) -> web.Response | None:
        flavour = self._options.flavour
        if self._faults.refuse_requests:
            return _error(503, "refused by a fault")
        if self.draining and flavour == "vllm":
            # What vLLM answers between SIGTERM and the end of its drain.
            return _error(500, "cannot schedule new futures after shutdown")
        if (unknown := self._unknown_model(str(body.get("model") or ""))) is not None:
            return unknown
        if limit > self._options.max_model_len:
            return _error(400, f"max_tokens {limit} is above the context of {self._options.max_model_len}")
        if self._options.max_queued is not None and self.batcher.in_flight >= self._options.max_queued:
            self._metrics.rejected()
            return _error(*BUSY[flavour])
        return None

    def _unknown_model(self, model: str) -> web.Response | None:
        """TGI serves any name, and SGLang any but one of an adapter."""
        flavour, adapter = self._options.flavour, self._adapters.of(model)
        if flavour == "vllm" and model and model not in self._options.served_names and adapter is None:
            known = ", ".join(self._options.served_names)
            said = f"The model `{model}` does not exist. Valid aliases: {known}."
            return _error(404, said, "NotFoundError", "model")
        if flavour == "sglang" and adapter and adapter not in self._adapters.loaded and self._options.updates_adapters:
            said = f"The following requested LoRA adapters are not loaded: {adapter}"
            return _error(400, said, "BadRequestError")
        return None


async def serve(options: Options) -> int:
    """Load, serve, and end as the real engine does on SIGTERM. Returns the exit status."""
    if options.nodes.rank > 0:
        return await follow(options.nodes)
    stop, group = asyncio.Event(), Group(options.nodes)
    loop = asyncio.get_running_loop()
    if not _has_model(options.model):
        print(f"ValueError: Invalid repository ID or local directory specified: '{options.model}'.", flush=True)  # noqa: T201
        return 1
    if (status := await _load(options, group, loop)) is not None:
        return status
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = Server(options)
    core = asyncio.create_task(server.batcher.run())
    # A request whose client goes away is aborted, as in vLLM.
    runner = web.AppRunner(server.app(), access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, options.host, options.port, backlog=2048)
    await site.start()
    print(f"enginesim: {options.flavour} serves {options.served_names[0]} on port {options.port}", flush=True)  # noqa: T201
    await _first_of(stop.wait(), group.broken.wait())
    group.close()
    if group.broken.is_set():
        return 1
    await _drain(server, site, options)
    core.cancel()
    await runner.cleanup()
    return 0


async def _first_of(*waits: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.create_task(wait) for wait in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def _has_model(model: str) -> bool:
    """Whether a path leads to a model; what is no path would be looked for on the hub."""
    return not model.startswith("/") or Path(model, "config.json").is_file()


async def _load(options: Options, group: Group, loop: asyncio.AbstractEventLoop) -> int | None:
    """Nothing listens yet. SIGTERM ends a process that has just begun; later the first one is lost, as in vLLM."""
    term = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, term.set)
    await _first_of(term.wait(), group.gather())
    early = options.hardware.startup / 3.0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(early):
            await term.wait()
    if term.is_set():
        return 143
    await asyncio.sleep(options.hardware.startup - early)
    return None


async def _drain(server: Server, site: web.TCPSite, options: Options) -> None:
    """TGI closes its listener, vLLM answers 500 to what is new, SGLang takes it and waits for all, without a bound.

    All finish what they have, vLLM if it was told to.
    """
    in_flight = server.batcher.in_flight
    print(f"enginesim: SIGTERM, {in_flight} requests in flight, drain {options.drain:g} s", flush=True)  # noqa: T201
    server.draining = True
    if options.flavour == "tgi":
        await site.stop()
    end = time.monotonic() + options.drain
    while server.batcher.in_flight and time.monotonic() < end:  # noqa: ASYNC110 - ends within the drain time
        await asyncio.sleep(SGLANG_DRAIN_SECONDS if options.flavour == "sglang" else 0.05)
    server.batcher.cut_all()
    await asyncio.sleep(options.hardware.exit if options.drain else 0.2)


def _event(data: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


def _error(status: int, message: str, kind: str = "InternalServerError", param: str | None = None) -> web.Response:
    error = {"message": message, "type": kind, "param": param, "code": status}
    return web.json_response({"error": error}, status=status)
