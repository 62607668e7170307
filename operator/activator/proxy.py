"""One request's way: a place, the wait for a replica, the request to it, and its answer as it comes."""

import asyncio
from http import HTTPStatus

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from prometheus_client import CollectorRegistry, Counter, Gauge
from yarl import URL

from activator.door import Door
from activator.options import Options
from activator.places import Full, Place, Places

LARGEST_BODY = 32 * 1024 * 1024
RETRY_AFTER_SECONDS = 10
# An engine that has just come up and takes no more, or breaks off, is asked again after this long.
AGAIN_SECONDS = 0.5
# A request that brings engines down is not to bring down one after the other.
MOST_BROKEN_OFF = 3
# RFC 9110, 7.6.1, and Expect, which was met here: the whole body is there.
OF_ONE_HOP = frozenset(
    {"connection", "expect", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
     "trailer", "transfer-encoding", "upgrade"}
)  # fmt: skip
REFUSALS = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""An engine's word that it has not begun with a request."""
ADDED_BY_LIBRARY = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class BrokenOff(Exception):
    """The engine took a request and broke off before it began to answer."""


class Proxy:
    """Holds requests for one or more doors.

    Attributes:
        open: requests that are not answered to the end, waiting ones included.
    """

    def __init__(self, options: Options, session: aiohttp.ClientSession) -> None:
        self.open = 0
        self.places = Places(options.max_requests, options.max_bytes)
        self.registry = CollectorRegistry()
        self._options = options
        self._session = session
        self._results = Counter(
            "llmendpoint_activator_requests", "Requests by what became of them.", ["result"], registry=self.registry
        )
        waiting = Gauge("llmendpoint_activator_waiting", "Requests that wait for a replica.", registry=self.registry)
        waiting.set_function(lambda: self.places.taken)

    def app(self, url: str) -> web.Application:
        """A server whose requests go to a URL."""
        door = Door(url)

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._handle(request, door)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        return app

    async def _handle(self, request: web.Request, door: Door) -> web.StreamResponse:
        if request.method in {"GET", "HEAD"} and request.path == self._options.health_path:
            return _healthy()
        self.open += 1
        try:
            answer = await self._answer_of_replica(request, door)
        except Full:
            self._results.labels("full").inc()
            return _unavailable(f"{self._options.max_requests} requests wait already for this model to start")
        except TimeoutError:
            self._results.labels("timeout").inc()
            return _unavailable(f"this model did not start within {self._options.timeout:g} s")
        except BrokenOff:
            self._results.labels("broken").inc()
            return _error(
                HTTPStatus.BAD_GATEWAY,
                "engine_failed",
                f"the engine broke off {MOST_BROKEN_OFF} times before it answered: its log says why",
            )
        except asyncio.CancelledError:
            self._results.labels("gone").inc()
            raise
        else:
            self._results.labels("answered").inc()
            return await _passed_on(request, answer)
        finally:
            self.open -= 1

    async def _answer_of_replica(self, request: web.Request, door: Door) -> aiohttp.ClientResponse:
        """The beginning of a replica's answer.

        Raises:
            Full: there is no place to wait.
            TimeoutError: no replica was there in time.
            BrokenOff: replicas were there, and none began to answer.
        """
        broken_off = 0
        deadline = asyncio.get_running_loop().time() + self._options.timeout
        with self.places.one() as place:
            async with asyncio.timeout_at(deadline):
                body = await _body(request, place)
            while True:
                async with asyncio.timeout_at(deadline):
                    await door.opened()
                # From here on the engine has its own time.
                answer = None
                try:
                    answer = await self._ask(request, door.url, body)
                except BrokenOff:
                    broken_off += 1
                    if broken_off == MOST_BROKEN_OFF:
                        raise
                is_late = asyncio.get_running_loop().time() + AGAIN_SECONDS >= deadline
                if answer is not None and (is_late or answer.status not in REFUSALS):
                    return answer
                if answer is not None:
                    answer.close()
                async with asyncio.timeout_at(deadline):
                    await asyncio.sleep(AGAIN_SECONDS)

    async def _ask(self, request: web.Request, url: str, body: bytes) -> aiohttp.ClientResponse | None:
        """An engine's answer; None where no engine could be reached.

        Raises:
            BrokenOff: it was reached.
        """
        headers = _end_to_end(request.headers)
        headers.popall("Content-Length", None)
        try:
            return await self._session.request(
                request.method,
                URL(url + request.rel_url.raw_path_qs, encoded=True),
                headers=headers,
                data=body if request.body_exists else None,
                allow_redirects=False,
                skip_auto_headers=ADDED_BY_LIBRARY,
            )
        except aiohttp.ClientConnectorError:
            return None
        except (aiohttp.ClientConnectionError, OSError) as error:
            raise BrokenOff from error


async def _body(request: web.Request, place: Place) -> bytes:
    """The body, which takes its room as it arrives: what a client says of its length is a word only.

    Raises:
        Full: there is no room for it.
        web.HTTPRequestEntityTooLarge: it is too large.
    """
    body = bytearray()
    async for chunk in request.content.iter_any():
        if len(body) + len(chunk) > LARGEST_BODY:
            raise web.HTTPRequestEntityTooLarge(LARGEST_BODY)
        place.keep(len(chunk))
        body += chunk
    return bytes(body)


async def _passed_on(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """Write an answer as it comes. One that breaks off breaks off for the client as well."""
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=_end_to_end(answer.headers))
    # Or a client that keeps its connection would keep the activator in its way.
    response.force_close()
    async with answer:
        await response.prepare(request)
        try:
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
        except aiohttp.ClientPayloadError:
            if request.transport is not None:
                request.transport.abort()
            return response
    await response.write_eof()
    return response


def _end_to_end(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    named = {name.strip().lower() for value in headers.getall("Connection", ()) for name in value.split(",")}
    dropped = OF_ONE_HOP | named
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped)


def _healthy() -> web.Response:
    response = web.Response()
    # Or a load balancer that keeps its connection would hear of the activator's health for ever.
    response.force_close()
    return response


def _unavailable(why: str) -> web.Response:
    response = _error(HTTPStatus.SERVICE_UNAVAILABLE, "model_starting", f"{why}: try again in {RETRY_AFTER_SECONDS} s")
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def _error(status: HTTPStatus, code: str, message: str) -> web.Response:
    """As the OpenAI API says it."""
    error = {"message": message, "type": "server_error", "param": None, "code": code}
    response = web.json_response({"error": error}, status=status)
    response.force_close()
    return response
