"""One Prometheus server: the client library, which blocks, behind one class whose failures are sentences.

Each server has a few threads of its own, so that one that hangs holds up nobody else. Its address is a tenant's word:
it is asked there and nowhere else, for so long and for so much.
"""

import ast
import asyncio
import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from prometheus_api_client import PrometheusApiClientException, PrometheusConnect
from requests import Response, Session
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import RequestException, Timeout, TooManyRedirects

QUERIES_IN_FLIGHT = 4
# An instant query sees as far back, unless the server is told otherwise.
LOOKBACK_SECONDS = 300.0
# Of one answer. A thousand endpoints with TTFT targets are 90,000 rows, some 30 MB.
LARGEST_ANSWER = 64 * 1024 * 1024
READ_AT_ONCE = 64 * 1024
# What reading JSON of another form than Prometheus' ends in.
MALFORMED = (LookupError, TypeError, ValueError, AttributeError)


class Unanswered(Exception):
    """A query that gave no result; the message is the same for the same cause, so that it is reported once."""


class PrometheusServer:
    """Answers queries. Every failure is Unanswered.

    Args:
        timeout: seconds that one query may take.
        told_by: what gave the address, for what to check where it is wrong.
    """

    def __init__(self, url: str, timeout: float, told_by: str = "scaling.metrics.prometheus.url") -> None:
        self._url = url
        self._told_by = told_by
        self._timeout = timeout
        self._client: PrometheusConnect | None = None
        with contextlib.suppress(ValueError):  # what can not be read as an address answers nothing
            # No retry: it would sleep in the thread, and the next tick asks again.
            self._client = PrometheusConnect(url=url.rstrip("/"), retry=0, timeout=timeout, session=self._session())
        self._threads = ThreadPoolExecutor(QUERIES_IN_FLIGHT, thread_name_prefix="prometheus")

    @property
    def silent(self) -> str:
        """What to say when there is no answer in time."""
        return f"Prometheus at {self._url} did not answer within {self._timeout:g} s"

    async def ask(self, query: str, at: float) -> list[Any]:
        """The result of an instant query at a time.

        Raises:
            Unanswered: there is none.
        """
        return await self._answer(lambda client: client.custom_query(query, params={"time": f"{at:.3f}"}))

    async def ask_range(self, query: str, start: float, end: float, step: float) -> list[Any]:
        """The result of a range query, all times in seconds.

        Raises:
            Unanswered: there is none.
        """
        times = [datetime.fromtimestamp(at, UTC) for at in (start, end)]
        return await self._answer(lambda client: client.custom_query_range(query, *times, f"{step:g}"))

    async def ask_values(self, label: str, series: str, at: float) -> list[str]:
        """The values that a label has on the series that a selector matches, within LOOKBACK_SECONDS before a time.

        Raises:
            Unanswered: there is no answer.
        """
        params = {"match[]": series, "start": f"{at - LOOKBACK_SECONDS:.3f}", "end": f"{at:.3f}"}
        values = await self._answer(lambda client: client.get_label_values(label, params=params))
        if not all(isinstance(value, str) for value in values):
            raise Unanswered(self.strange)
        return values

    async def _answer(self, ask: Callable[[PrometheusConnect], Any]) -> list[Any]:
        if self._client is None:
            raise Unanswered(self.strange)
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._threads, ask, self._client)
        except Timeout as error:
            raise Unanswered(self.silent) from error
        except TooManyRedirects as error:
            raise Unanswered(
                f"Prometheus at {self._url} redirects, which is not followed: let {self._told_by} be where it leads to"
            ) from error
        except NoConnection as error:
            raise Unanswered(
                f"Prometheus at {self._url} can not be reached ({_cause(error)}): check the server and {self._told_by}"
            ) from error
        except PrometheusApiClientException as error:
            raise Unanswered(f"Prometheus at {self._url} answered {self._refusal(error)}") from error
        except (RequestException, *MALFORMED) as error:
            raise Unanswered(self.strange) from error
        if not isinstance(answer, list):
            raise Unanswered(self.strange)
        return answer

    @property
    def strange(self) -> str:
        """What to say when the answer is not Prometheus'."""
        return f"{self._url} does not answer as a Prometheus server does: check {self._told_by}"

    def close(self) -> None:
        """Forget it. A thread that still waits for an answer ends with its time-out."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    def _session(self) -> Session:
        session = Session()
        session.max_redirects = 0
        session.hooks["response"] = [self._bound]
        return session

    def _bound(self, response: Response, **_: Any) -> None:
        response.raw = _Bounded(response.raw, time.monotonic() + self._timeout, self._too_large)

    @property
    def _too_large(self) -> str:
        return f"Prometheus at {self._url} answers with more than {LARGEST_ANSWER >> 20} MiB: check {self._told_by}"

    def _refusal(self, error: PrometheusApiClientException) -> str:
        """Status and, in Prometheus' own words, why. Anything else in the body is not for everybody's eyes."""
        match = re.fullmatch(r"HTTP Status Code (\d+) \((b.*)\)", str(error), re.DOTALL)
        if match is None:
            return "with an error"
        try:
            said = json.loads(ast.literal_eval(match[2]))["error"]
        except (ValueError, SyntaxError, LookupError, TypeError):
            return f"{match[1]} and not as Prometheus does: check {self._told_by}"
        return f"{match[1]}: {str(said)[:500]}"


class _Bounded:
    """A body that ends in time. The library's own time-out begins anew with each byte.

    Args:
        until: by time.monotonic().
        too_large: what to say of a body that is.
    """

    def __init__(self, raw: Any, until: float, too_large: str) -> None:
        self._raw = raw
        self._until = until
        self._too_large = too_large

    def stream(self, _: int, decode_content: bool) -> Iterator[bytes]:
        """The body in parts, each as it comes.

        Raises:
            Timeout: it takes too long.
            Unanswered: it is too large.
        """
        size = 0
        while part := self._raw.read1(READ_AT_ONCE, decode_content=decode_content):
            size += len(part)
            if size > LARGEST_ANSWER:
                self._raw.close()
                raise Unanswered(self._too_large)
            if time.monotonic() > self._until:
                self._raw.close()
                raise Timeout
            yield part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


def _cause(error: BaseException) -> str:
    """The innermost cause without the address of an object in it, which would be new each time."""
    text = str(getattr(error.args[0], "reason", error.args[0])) if error.args else type(error).__name__
    return re.sub(r"<[^>]*>:?\s*|^HTTPS?Connection(?:Pool)?\([^)]*\):\s*", "", text)[:200]
