"""The API for callers: OpenAI requests become jobs, which can be asked for and cancelled."""

import logging
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler
from redis import RedisError

from jobqueue.jobs import PATHS, Job
from jobqueue.metrics import ApiMetrics
from jobqueue.options import ServeOptions
from jobqueue.requests import Refused, check_key, read_submission
from jobqueue.store import Store

LARGEST_BODY = 8 * 1024 * 1024
RETRY_AFTER_SECONDS = 10
log = logging.getLogger(__name__)


class Api:
    """The routes."""

    def __init__(self, options: ServeOptions, store: Store, metrics: ApiMetrics) -> None:
        self._options = options
        self._store = store
        self._metrics = metrics

    def app(self) -> web.Application:
        """A server."""
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[self._in_openai_form])
        app.add_routes([web.post(path, self._submit) for path in PATHS])
        app.add_routes([web.get("/v1/jobs/{id}", self._show), web.post("/v1/jobs/{id}/cancel", self._cancel)])
        return app

    async def _submit(self, request: web.Request) -> web.Response:
        wanted = read_submission(request.path, await request.read(), request.headers, self._options.webhook_hosts)
        outcome, job_id = await self._store.submit(wanted, self._options.max_queued)
        self._metrics.submitted.labels(outcome).inc()
        if outcome == "conflict":
            raise Refused(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "idempotency_conflict",
                f"this Idempotency-Key came with another request before, which is job {job_id}: take a new key",
                "Idempotency-Key",
            )
        if outcome == "full":
            raise Refused(
                HTTPStatus.TOO_MANY_REQUESTS,
                "queue_full",
                f"{self._options.max_queued} jobs wait already, or Redis has no memory for more: "
                f"try again in {RETRY_AFTER_SECONDS} s",
            )
        job = await self._found(job_id)
        return web.json_response(
            job.to_json(), status=HTTPStatus.ACCEPTED, headers={"Location": f"/v1/jobs/{job.id}"}
        )  # fmt: skip

    async def _show(self, request: web.Request) -> web.Response:
        job = await self._found(request.match_info["id"])
        return web.json_response(job.to_json())

    async def _cancel(self, request: web.Request) -> web.Response:
        was_open = await self._store.cancel(request.match_info["id"])
        job = await self._found(request.match_info["id"])
        if not was_open and job.status != "cancelled":
            raise Refused(HTTPStatus.CONFLICT, "job_ended", f"job {job.id} is {job.status}: it can not be cancelled")
        return web.json_response(job.to_json())

    async def _found(self, job_id: str) -> Job:
        job = await self._store.job(job_id)
        if job is None:
            raise Refused(
                HTTPStatus.NOT_FOUND,
                "job_not_found",
                f"there is no job {job_id}; ended jobs are kept for {self._options.result_ttl} s",
            )
        return job

    @web.middleware
    async def _in_openai_form(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Ask for the key, and say what went wrong as the OpenAI API does."""
        try:
            check_key(request.headers, self._options.api_key)
            return await handler(request)
        except Refused as refused:
            return _error(refused.status, refused.code, str(refused), refused.param)
        except RedisError as error:
            log.warning("Redis did not do what it was asked: %s", error)
            return _error(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "queue_unavailable",
                f"the queue can not be reached: try again in {RETRY_AFTER_SECONDS} s",
            )
        except web.HTTPException as error:  # aiohttp's own: no such route, a body that is too large
            return _error(HTTPStatus(error.status), error.reason.lower().replace(" ", "_"), error.text or error.reason)
        except Exception:
            log.exception("%s %s can not be answered", request.method, request.path)
            return _error(
                HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "this is a fault of the API: its log says which"
            )


def _error(status: HTTPStatus, code: str, text: str, param: str | None = None) -> web.Response:
    kind = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    response = web.json_response(
        {"error": {"message": text, "type": kind, "param": param, "code": code}}, status=status
    )  # fmt: skip
    if status in {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS}:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response
