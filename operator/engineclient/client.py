"""Posts a request to an engine and decides by what comes back whether to ask again, and when."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import aiohttp
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random,
    wait_random_exponential,
)

from engineclient.answers import FAILURES, REFUSALS, Answer, EngineUnavailable, retry_after

CONNECT_SECONDS = 5.0
HEALTH_SECONDS = 5.0
LONGEST_RETRY_AFTER = 300.0
# A busy engine is asked again after up to 1, 2, 4 ... seconds, spread at random so that not all come back at once.
_BACK_OFF = wait_random_exponential(multiplier=1.0, max=60.0)
# Nobody is there to be disturbed, and whoever comes up is to have work soon.
_UNTIL_THERE = wait_random(0.5, 2.0)

Sleep = Callable[[float], Awaitable[None]]


class EngineClient:
    """An engine's OpenAI API. To be entered (``async with``) before it is used.

    Args:
        base_url: ``http://host:port``.
        health_path: answers 200 while the engine takes requests.
        api_key: sent as a bearer token.
        concurrency: requests that are open at once.
        timeout: seconds that one try may take.
        sleep: how to wait between two tries.
    """

    def __init__(
        self,
        base_url: str,
        *,
        health_path: str = "/health",
        api_key: str | None,
        concurrency: int,
        timeout: float,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._health_path = health_path
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._concurrency = concurrency
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_SECONDS)
        self._sleep = sleep
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # A connection for each request, so that a Service spreads them over its replicas; one more for the health.
        connector = aiohttp.TCPConnector(limit=self._concurrency + 1, force_close=True)
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), headers=self._headers, timeout=self._timeout
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, path: str, body: bytes, *, tries: int) -> Answer:
        """Send a JSON body and return the answer that stands.

        A connection or a request that is refused is no try, because nobody has begun: it is made again without end.
        Cancel the call to give up earlier.

        Args:
            path: such as ``/v1/chat/completions``.
            tries: how often an engine may begin with it.

        Raises:
            EngineUnavailable: so many tries were in vain.
        """
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_TryFailed),
            stop=stop_after_attempt(tries),
            wait=_wait,
            sleep=self._sleep,
            reraise=True,
        )
        return await retrying(self._begin, path, body)

    async def is_ready(self) -> bool:
        """Whether an engine takes requests."""
        try:
            async with self._open.get(
                self._base_url + self._health_path, timeout=aiohttp.ClientTimeout(total=HEALTH_SECONDS)
            ) as answer:
                return answer.ok
        except (aiohttp.ClientError, OSError):  # TimeoutError is one
            return False

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("EngineClient is used outside of its `async with` block")
        return self._session

    async def _begin(self, path: str, body: bytes) -> Answer:
        """One try. It waits until somebody begins with it."""
        retrying = AsyncRetrying(retry=retry_if_exception_type(_NotBegun), wait=_wait, sleep=self._sleep)
        return await retrying(self._ask, path, body)

    async def _ask(self, path: str, body: bytes) -> Answer:
        # Another one each time: vLLM refuses an id that it still works on.
        request_id = uuid.uuid4().hex
        try:
            async with self._open.post(
                self._base_url + path,
                data=body,
                headers={"Content-Type": "application/json", "X-Request-Id": request_id},
                allow_redirects=False,
            ) as response:
                answer = await response.read()
                after = min(retry_after(response.headers.get("Retry-After"), datetime.now(UTC)), LONGEST_RETRY_AFTER)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise _NotThere(0.0) from error
        except TimeoutError as error:
            raise _TryFailed(f"the engine did not answer within {self._timeout.total:g} s", None) from error
        except (aiohttp.ClientError, OSError) as error:
            raise _TryFailed(f"the engine broke off: {error or type(error).__name__}", None) from error
        if response.status in REFUSALS:
            raise _NotBegun(after)
        if response.status in FAILURES:
            text = answer[:500].decode(errors="replace")
            raise _TryFailed(f"the engine answered {response.status}: {text}", response.status, after)
        return Answer(
            response.status, answer, response.content_type, response.headers.get("X-Request-Id") or request_id
        )


class _NotBegun(Exception):
    """The engine, or who stands before it, takes no requests now."""

    def __init__(self, after: float) -> None:
        super().__init__()
        self.after = after


class _NotThere(_NotBegun):
    """Nobody took the connection."""


class _TryFailed(EngineUnavailable):
    """Another try may do better."""

    def __init__(self, reason: str, status: int | None, after: float = 0.0) -> None:
        super().__init__(reason, status)
        self.after = after


def _wait(state: RetryCallState) -> float:
    """Seconds until the next try: what the answer asked for, if that is longer than the back-off."""
    error = state.outcome.exception() if state.outcome else None
    back_off = _UNTIL_THERE if isinstance(error, _NotThere) else _BACK_OFF
    return max(back_off(state), error.after if isinstance(error, _NotBegun | _TryFailed) else 0.0)
