"""The HTTP API: POST /rag, POST /rag/stream, GET /healthz, GET /metrics; /docs and /openapi.json describe it."""

import asyncio
import json
import traceback
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Annotated, TypeVar

import structlog
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException as AnyHTTPException

from rag import metrics
from rag.bodies import BodyLimit
from rag.budget import BudgetSpent
from rag.llm import LlmError, LlmTimeout, LlmUnavailable
from rag.loading import Readiness
from rag.models import MAX_QUERY_CHARACTERS, Answer, Failure, Health, Question
from rag.pipeline import Pipeline
from rag.settings import Settings
from rag.store import StoreUnavailable
from rag.tracing import set_up_tracing

Result = TypeVar("Result")
log = structlog.get_logger(__name__)
_HEALTH_SECONDS = 3.0
_CLIENT_GONE = 499
"""nginx' word for a client that went away; nobody reads it."""
_ERRORS: dict[type[Exception], int] = {
    BudgetSpent: 504,
    LlmTimeout: 504,
    LlmUnavailable: 503,
    StoreUnavailable: 503,
    LlmError: 502,
}
_FAILURES: dict[int | str, dict[str, object]] = {
    code: {"model": Failure} for code in (413, 422, *sorted(set(_ERRORS.values())))
}
_UNFORESEEN = "The service failed in a way that nobody foresaw: its log tells where."
_EVENTS: dict[str, object] = {
    "description": "Server-sent events: sources, then each token, then done or error.",
    "content": {
        "text/event-stream": {
            "schema": {"type": "string"},
            "example": 'event: sources\ndata: {"sources": []}\n\nevent: token\ndata: {"text": "It"}\n\n'
            'event: done\ndata: {"timings": {}, "degraded": []}\n\n',
        }
    },
}
_STREAM_FAILURES: dict[int | str, dict[str, object]] = {code: _FAILURES[code] for code in (413, 422, 503)}
"""What comes before the first event; later an event tells."""


def _ready(request: Request) -> Pipeline:
    readiness: Readiness = request.app.state.readiness
    if readiness.pipeline is None:
        raise HTTPException(503, f"Not ready: {readiness.message}", headers={"Retry-After": "2"})
    return readiness.pipeline


Ready = Annotated[Pipeline, Depends(_ready)]


def make_app(settings: Settings) -> FastAPI:
    """The service; it loads models and documents once it runs."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.readiness = Readiness(settings)
        loading = asyncio.create_task(app.state.readiness.load())
        yield
        loading.cancel()
        with suppress(asyncio.CancelledError):
            await loading
        await app.state.readiness.aclose()

    app = FastAPI(title="llm-twin-rag", summary="Answers from documents, with sources.", lifespan=lifespan)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_exception_handler(AnyHTTPException, _refuse)
    app.add_exception_handler(Exception, _fail_unforeseen)
    app.add_exception_handler(RequestValidationError, _refuse_question)
    for kind in _ERRORS:
        app.add_exception_handler(kind, _fail)
    app.post("/rag", response_model=Answer, responses=_FAILURES)(ask)
    app.post("/rag/stream", responses={200: _EVENTS, **_STREAM_FAILURES}, response_class=StreamingResponse)(
        ask_streaming
    )
    app.get("/healthz", response_model=Health, responses={503: {"model": Health}})(healthz)
    app.get("/metrics", include_in_schema=False)(expose)
    set_up_tracing(app)
    return app


async def ask(question: Question, pipeline: Ready, request: Request) -> Answer | Response:
    """Answer a question from the documents."""
    if question.stream:
        return await ask_streaming(question, pipeline)
    with metrics.IN_FLIGHT.track_inprogress():
        answer = await _unless_gone(request, pipeline.answer(question.query))
    if answer is None:
        metrics.REQUESTS.labels("client_gone").inc()
        return Response(status_code=_CLIENT_GONE)
    metrics.REQUESTS.labels("answered").inc()
    return answer


async def ask_streaming(question: Question, pipeline: Ready) -> StreamingResponse:
    """Answer as server-sent events: sources, then each token, then done or error."""
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    events = _events(question.query, pipeline)
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


async def healthz(request: Request, response: Response) -> Health:
    """Whether questions are answered now; the LLM's readiness is its own."""
    readiness: Readiness = request.app.state.readiness
    try:
        async with asyncio.timeout(_HEALTH_SECONDS):
            await readiness.check()
    except (StoreUnavailable, TimeoutError) as error:
        response.status_code = 503
        return Health(status="unavailable", message=str(error) or "the store says nothing")
    if readiness.pipeline is None:
        response.status_code = 503
        return Health(status="starting", message=readiness.message)
    return Health(status="ok", message="ready")


async def expose() -> Response:
    """Prometheus' text."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _events(query: str, pipeline: Pipeline) -> AsyncIterator[str]:
    record = pipeline.record()
    outcome = "client_gone"
    try:
        with metrics.IN_FLIGHT.track_inprogress():
            found = await pipeline.find(query, record)
            yield _event("sources", {"sources": [source.model_dump(by_alias=True) for source in found.sources]})
            async with aclosing(pipeline.generate(query, found, record)) as answer:
                async for piece in answer:
                    yield _event("token", {"text": piece})
            done = {"timings": record.finish().model_dump(by_alias=True), "degraded": record.degraded}
            outcome = "answered"
            yield _event("done", done)
    except tuple(_ERRORS) as error:
        outcome = "failed"
        yield _event("error", _failure(_sentence(error)))
    except Exception:  # noqa: BLE001 - the client gets an event, whatever it is
        outcome = "failed"
        # Not exc_info: structlog would show the variables, and with them the question.
        log.error("a question failed", traceback=traceback.format_exc())  # noqa: TRY400
        yield _event("error", _failure(_UNFORESEEN))
    finally:
        metrics.REQUESTS.labels(outcome).inc()


def _event(name: str, data: object) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


async def _unless_gone(request: Request, work: Awaitable[Result]) -> Result | None:
    """The work's result; None where the client went away, which ends the work and with it the request to the LLM."""
    task = asyncio.ensure_future(work)
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        return await task if task.done() else None
    finally:
        gone.cancel()
        task.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _failure(sentence: str) -> dict[str, object]:
    return Failure(error=Failure.Error(message=sentence)).model_dump()


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}"


async def _fail(_: Request, error: Exception) -> JSONResponse:
    metrics.REQUESTS.labels("failed").inc()
    code = next(code for kind, code in _ERRORS.items() if isinstance(error, kind))
    headers = {"Retry-After": "2"} if code == 503 else {}
    return JSONResponse(_failure(_sentence(error)), status_code=code, headers=headers)


async def _fail_unforeseen(_: Request, __: Exception) -> JSONResponse:
    """The exception itself goes on to the server's log."""
    metrics.REQUESTS.labels("failed").inc()
    return JSONResponse(_failure(_UNFORESEEN), status_code=500)


async def _refuse(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AnyHTTPException)  # noqa: S101 - registered for that kind alone
    return JSONResponse(_failure(str(error.detail)), status_code=error.status_code, headers=error.headers)


async def _refuse_question(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for that kind alone
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body") or "the body"
    hint = (
        'Send, with Content-Type: application/json, a body like {"query": "..."} '
        f"with 1 to {MAX_QUERY_CHARACTERS:,} characters in query."
    )
    return JSONResponse(_failure(f"{where}: {first['msg']}. {hint}"), status_code=422)
