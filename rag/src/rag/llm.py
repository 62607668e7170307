"""An OpenAI chat completion: asked again only while no engine has begun with it."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import httpx
from tenacity import AsyncRetrying, retry_if_exception_type, stop_before_delay, wait_random_exponential

Messages = Sequence[dict[str, str]]
CONNECT_SECONDS = 5.0
_BUSY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class LlmError(Exception):
    """The LLM gave no answer, for a reason that asking again does not change."""


class LlmUnavailable(LlmError):
    """No engine took the request; a later try may find one."""


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
        async with self._opened(body, seconds) as response:
            try:
                async for data in _events(response):
                    if piece := _piece(data):
                        yield piece
            except httpx.TimeoutException as error:
                raise LlmTimeout(f"the LLM at {self._url} fell silent for {seconds:.1f} s") from error
            except httpx.TransportError as error:
                raise LlmError(f"the LLM at {self._url} broke off its answer: {_named(error)}") from error

    @asynccontextmanager
    async def _opened(self, body: dict[str, Any], seconds: float) -> AsyncIterator[httpx.Response]:
        timeouts = httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))
        response: httpx.Response | None = None
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(LlmUnavailable),
            stop=stop_before_delay(seconds),
            wait=wait_random_exponential(multiplier=0.25, max=2.0),
            reraise=True,
        )
        try:
            async with asyncio.timeout(seconds):
                async for attempt in attempts:
                    with attempt:
                        response = await self._post(body, timeouts)
        except TimeoutError as error:
            raise LlmTimeout(f"the LLM at {self._url} took no request within {seconds:.1f} s") from error
        assert response is not None  # noqa: S101 - the loop ends with an answer or with an exception
        try:
            yield response
        finally:
            await response.aclose()

    async def _post(self, body: dict[str, Any], timeouts: httpx.Timeout) -> httpx.Response:
        request = self._client.build_request("POST", self._url, json=body, timeout=timeouts)
        try:
            response = await self._client.send(request, stream=True)
        except httpx.ReadTimeout as error:
            # An engine may have begun with it: it is not asked twice.
            raise LlmTimeout(f"the LLM at {self._url} said nothing for {timeouts.read:.1f} s") from error
        except httpx.TransportError as error:
            raise LlmUnavailable(f"the LLM at {self._url} does not answer: {_named(error)}") from error
        if response.is_success:
            return response
        text = (await response.aread()).decode(errors="replace")[:300]
        await response.aclose()
        sentence = f"the LLM at {self._url} answers {response.status_code}: {text}"
        raise (LlmUnavailable if response.status_code in _BUSY else LlmError)(sentence)


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


def _piece(data: str) -> str:
    """The text in one event; empty where there is none.

    Raises:
        LlmError: the engine says in its stream that it failed, as vLLM does.
    """
    if data == "[DONE]":
        return ""
    try:
        event = json.loads(data)
    except ValueError:
        return ""
    if not isinstance(event, dict):
        return ""
    if error := event.get("error"):
        message = error.get("message") if isinstance(error, dict) else error
        raise LlmError(f"the LLM broke off its answer: {message}")
    try:
        content = event["choices"][0]["delta"].get("content")
    except (LookupError, TypeError, AttributeError):
        return ""
    return content if isinstance(content, str) else ""


def _named(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()
