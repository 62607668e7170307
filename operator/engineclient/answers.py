"""What an engine says: an answer that stands, one after which it may be asked again, and the tokens it counts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

REFUSALS = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""Nobody has begun with the request: the engine is busy, or an activator or proxy has none to give it to."""
FAILURES = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""The next engine may do better. vLLM answers 500 between SIGTERM and its end."""


@dataclass(frozen=True)
class Answer:
    """An answer that stands: a success, or a refusal that would come again."""

    status: int
    body: bytes
    content_type: str
    request_id: str
    """By which the engine's log knows the request."""


@dataclass(frozen=True)
class Usage:
    """Tokens of one answer."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class EngineUnavailable(Exception):
    """Engines began with a request as often as was allowed, and none gave an answer that stands.

    Attributes:
        reason: a sentence about the last try.
        status: what the last try was answered; None where it broke off or took too long.
    """

    def __init__(self, reason: str, status: int | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


def usage_of(body: bytes) -> Usage:
    """The ``usage`` of an OpenAI answer; zeros where it has none."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return Usage()
    usage = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(usage, dict):
        return Usage()
    return Usage(_count(usage, "prompt_tokens"), _count(usage, "completion_tokens"))


def retry_after(value: str | None, now: datetime) -> float:
    """Seconds that a Retry-After header asks for, 0 where it can not be read. RFC 9110, 10.2.3."""
    if not value:
        return 0.0
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    # A date in "-0000" comes without a time zone, and is UTC.
    return max((moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds(), 0.0)


def _count(usage: Mapping[str, object], name: str) -> int:
    value = usage.get(name)
    return max(value, 0) if type(value) is int else 0  # an engine may say anything, and counters only go up
