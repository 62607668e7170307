"""An OpenAI chat completion: asked again while no engine takes it, and once more where the connection just ends."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from http import HTTPStatus
from typing import Any

import httpx
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_any,
    stop_before_delay,
    wait_random_exponential,
)
from tenacity.stop import stop_base

Messages = Sequence[dict[str, str]]
CONNECT_SECONDS = 5.0
# A try that begins later is not answered in time, and its time-out would hide why the others failed.
_LEAST_SECONDS = 0.25
_BACKOFF = wait_random_exponential(multiplier=0.25, max=2.0)
_BUSY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class LlmError(Exception):
    """The LLM gave no answer, for a reason that asking again does not change."""


class LlmUnavailable(LlmError):
    """No engine took the request; a later try may find one.

    Args:
        after: seconds that it asks to wait.
    """

    def __init__(self, sentence: str, after: float = 0.0) -> None:
        super().__init__(sentence)
        self.after = after


class _Dropped(LlmUnavailable):
    """The connection ended before a byte of the answer: as a rule an engine that stops has not read the request."""


class LlmTimeout(LlmError):
    """The time for the answer ran out."""


class Llm:
    """A chat model behind ``base_url``.

    Args:
        base_url: ``http://host:port``.
        model: the name that requests carry.
        api_key: sent as a bearer token.
    """

    def __init__(self, base_url: str, model: str, api_key: str | None) -> None:
        self._url = f"{base_url.rstrip('/')}/v1/chat/completions"
        self._model = model
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            # A pooled connection would still lead to an engine that is about to stop; a new one never does.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )

    async def aclose(self) -> None:
        """Close what is open."""
        await self._client.aclose()

    async def complete(self, messages: Messages, *, seconds: float, max_tokens: int) -> str:
        """The whole answer, within ``seconds``.

        Raises:
            LlmError: there is none, with a sentence that says why.
        """
        try:
            async with asyncio.timeout(seconds):
                pieces = [piece async for piece in self.stream(messages, seconds=seconds, max_tokens=max_tokens)]
        except TimeoutError as error:
            raise LlmTimeout(f"the LLM at {self._url} was not done within {seconds:.1f} s") from error
        return "".join(pieces)

    async def stream(self, messages: Messages, *, seconds: float, max_tokens: int) -> AsyncGenerator[str]:
        """The answer in pieces, as they come. ``seconds`` bound the wait for the first and for each next one.

        Raises:
            LlmError: there is no answer, or it broke off, with a sentence that says why.
        """
        body = {"model": self._model, "messages": list(messages), "max_tokens": max_tokens, "stream": True}
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        async with self._opened(body, seconds) as response, aclosing(self._pieces(response)) as pieces:
            while True:
                try:
                    # What keeps a connection alive is no piece.
                    async with asyncio.timeout_at(until):
                        piece = await anext(pieces, None)
                except (TimeoutError, httpx.TimeoutException) as error:
                    raise LlmTimeout(f"the LLM at {self._url} fell silent for {seconds:.1f} s") from error
                except httpx.HTTPError as error:
                    raise LlmError(f"the LLM at {self._url} broke off its answer: {_named(error)}") from error
                if piece is None:
                    return
                yield piece
                until = clock() + seconds

    async def _pieces(self, response: httpx.Response) -> AsyncGenerator[str]:
        finished = False
        async for data in _events(response):
            if data == "[DONE]":
                return
            choice = _choice(data)
            finished = finished or bool(choice.get("finish_reason"))
            if piece := _text(choice):
                yield piece
        if not finished:
            raise LlmError(f"the LLM at {self._url} broke off its answer: it ends without finish_reason and [DONE]")

    @asynccontextmanager
    async def _opened(self, body: dict[str, Any], seconds: float) -> AsyncIterator[httpx.Response]:
        timeouts = httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))
        response: httpx.Response | None = None
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(LlmUnavailable),
            stop=stop_any(stop_before_delay(seconds - _LEAST_SECONDS), _SecondDrop()),
            wait=_pause,
            reraise=True,
        )
        try:
            async with asyncio.timeout(seconds):
                async for attempt in attempts:
                    with attempt:
                        response = await self._post(body, timeouts)
        except TimeoutError as error:
            raise LlmTimeout(f"the LLM at {self._url} began no answer within {seconds:.1f} s") from error
        assert response is not None  # noqa: S101 - the loop ends with an answer or with an exception
        try:
            yield response
        finally:
            await response.aclose()

    async def _post(self, body: dict[str, Any], timeouts: httpx.Timeout) -> httpx.Response:
        try:
            request = self._client.build_request("POST", self._url, json=body, timeout=timeouts)
            response = await self._client.send(request, stream=True)
        except httpx.ReadTimeout as error:
            # An engine may be busy with it: it is not asked twice.
            raise LlmTimeout(f"the LLM at {self._url} said nothing for {timeouts.read:.1f} s") from error
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError) as error:
            raise _Dropped(f"the LLM at {self._url} does not answer: {_named(error)}") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise LlmError(f"LLM_BASE_URL is no address, set it to http://host:port: {_named(error)}") from error
        except httpx.TransportError as error:
            raise LlmUnavailable(f"the LLM at {self._url} does not answer: {_named(error)}") from error
        if response.is_success:
            return response
        try:
            text = (await response.aread()).decode(errors="replace")[:300]
        except httpx.HTTPError as error:
            text = f"the rest did not come: {_named(error)}"
        finally:
            await response.aclose()
        sentence = f"the LLM at {self._url} answers {response.status_code}: {text}"
        if response.status_code in _BUSY:
            raise LlmUnavailable(sentence, _seconds(response.headers.get("Retry-After", "")))
        raise LlmError(sentence)


def _pause(state: RetryCallState) -> float:
    """Before the next try: a little more each time, and no less than the engine asks for."""
    error = state.outcome and state.outcome.exception()
    return max(_BACKOFF(state), error.after if isinstance(error, LlmUnavailable) else 0.0)


def _seconds(retry_after: str) -> float:
    """A date, which engines do not send, asks for nothing."""
    return float(retry_after) if retry_after.isdecimal() else 0.0


class _SecondDrop(stop_base):
    """Ends the tries of one request: one that makes engines crash must not be carried to all of them."""

    def __init__(self) -> None:
        self._drops = 0

    def __call__(self, state: RetryCallState) -> bool:
        self._drops += isinstance(state.outcome and state.outcome.exception(), _Dropped)
        return self._drops > 1


async def _events(response: httpx.Response) -> AsyncIterator[str]:
    """The data of server-sent events, one line each.

    Raw bytes are split at line feeds: ``aiter_lines`` would also split at U+2028 within the JSON.
    """
    rest = b""
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip().decode(errors="replace")
    if rest.startswith(b"data:"):
        yield rest[5:].strip().decode(errors="replace")


def _choice(data: str) -> dict[str, Any]:
    """The first choice in one event; empty where there is none.

    Raises:
        LlmError: the engine says in its stream that it failed, as vLLM does.
    """
    try:
        event = json.loads(data)
    except ValueError:
        return {}
    if not isinstance(event, dict):
        return {}
    if error := event.get("error"):
        message = error.get("message") if isinstance(error, dict) else error
        raise LlmError(f"the LLM broke off its answer: {message}")
    choices = event.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice if isinstance(choice, dict) else {}


def _text(choice: dict[str, Any]) -> str:
    delta = choice.get("delta")
    content = delta.get("content") if isinstance(delta, dict) else None
    return content if isinstance(content, str) else ""


def _named(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()
