"""Reads what a caller of the API wants, or says why it can not be had."""

import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from yarl import URL

from jobqueue.store import Submission
from jobqueue.webhooks import AllowedHosts

LONGEST_KEY = 255


class Refused(Exception):
    """The caller's request is not done; the message says why and what to do.

    Attributes:
        status: of the answer.
        code: for programs.
        param: the field or header that is wrong.
    """

    def __init__(self, status: HTTPStatus, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param


def check_key(headers: Mapping[str, str], key: str | None) -> None:
    """Let only those in who show the endpoint's key, where it has one.

    Raises:
        Refused: this is none of them.
    """
    shown = _bytes(headers.get("Authorization", ""))
    if key is not None and not hmac.compare_digest(shown, f"Bearer {key}".encode()):
        raise Refused(
            HTTPStatus.UNAUTHORIZED, "invalid_api_key", "send this endpoint's key as `Authorization: Bearer KEY`"
        )


def read_submission(path: str, body: bytes, headers: Mapping[str, str], hosts: AllowedHosts | None) -> Submission:
    """A job of what was sent.

    Args:
        hosts: where webhooks may go; None where there are none.

    Raises:
        Refused: it can be none.
    """
    _check_body(body)
    webhook = headers.get("Webhook-URL", "")
    if webhook:
        _check_webhook(webhook, hosts)
    key = headers.get("Idempotency-Key", "")
    if len(key) > LONGEST_KEY:
        raise _bad(f"Idempotency-Key has more than {LONGEST_KEY} characters", "Idempotency-Key")
    return Submission(
        id=f"job_{uuid.uuid4().hex}",
        path=path,
        body=body,
        webhook=webhook,
        idempotency_digest=_digest(_bytes(key)) if key else "",
        fingerprint=_digest(path.encode(), webhook.encode(), body),
    )


def _check_body(body: bytes) -> None:
    try:
        wanted: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _bad(f"the body is not JSON: {error}") from error
    if not isinstance(wanted, dict):
        raise _bad("the body must be a JSON object, as the engine's API has it")
    if wanted.get("stream"):
        raise _bad("a job has its answer as a whole: leave `stream` out, or ask the endpoint itself", "stream")


def _check_webhook(text: str, hosts: AllowedHosts | None) -> None:
    if hosts is None:
        raise _bad("this endpoint sends no webhooks: leave Webhook-URL out and ask for the job", "Webhook-URL")
    try:
        text.encode()  # URL would do without
        allowed = hosts.allow(URL(text))
    except ValueError:
        allowed = False
    if not allowed:
        raise _bad(
            "Webhook-URL must be http(s)://HOST/... of a host that spec.async.webhook.allowedHosts names", "Webhook-URL"
        )


def _bad(message: str, param: str | None = None) -> Refused:
    return Refused(HTTPStatus.BAD_REQUEST, "invalid_request", message, param)


def _bytes(header: str) -> bytes:
    """A header's value as it was sent: aiohttp has surrogates for what is no text."""
    return header.encode(errors="surrogateescape")


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
