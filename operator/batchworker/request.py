"""What one line of a batch file asks: read, checked, and made ready for the engine.

The format: https://platform.openai.com/docs/guides/batch
"""

import json
from dataclasses import dataclass
from typing import Any

from batchworker.lines import LONGEST, Line

PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")


@dataclass(frozen=True)
class Request:
    """A request as the engine gets it."""

    custom_id: str
    path: str
    body: bytes


class InvalidLine(Exception):
    """A line that no engine can be asked.

    Attributes:
        custom_id: the one it has, if it has one.
    """

    def __init__(self, message: str, custom_id: str | None = None) -> None:
        super().__init__(message)
        self.custom_id = custom_id


def request_of(line: Line, model: str | None) -> Request:
    """Read a line.

    Args:
        model: takes the place of the one that the line names.

    Raises:
        InvalidLine: it is not a request of an OpenAI batch file.
    """
    if len(line.content) > LONGEST:
        raise InvalidLine(f"{_where(line)} has more than {LONGEST} bytes")
    try:
        asked = json.loads(line.content)
    except (ValueError, RecursionError) as error:
        raise InvalidLine(f"{_where(line)} is not JSON: {error}") from error
    if not isinstance(asked, dict):
        raise InvalidLine(f"{_where(line)} is not a JSON object")
    custom_id = asked.get("custom_id")
    if not isinstance(custom_id, str) or not custom_id:
        raise InvalidLine(f"{_where(line)} has no custom_id, a text by which its answer is found")
    body = _body(asked, line, custom_id)
    if model is not None:
        body = body | {"model": model}
    try:
        return Request(custom_id, asked["url"], json.dumps(body, allow_nan=False).encode())
    except (ValueError, RecursionError) as error:  # what Python reads and JSON has not, or a nesting too deep
        raise InvalidLine(f"{_where(line)} has a body that is not JSON: {error}", custom_id) from error


def _body(asked: dict[str, Any], line: Line, custom_id: str) -> dict[str, Any]:
    method, url, body = asked.get("method"), asked.get("url"), asked.get("body")
    if method != "POST":
        raise InvalidLine(f"{_where(line)} has method {method!r}: it must be POST", custom_id)
    if url not in PATHS:
        raise InvalidLine(f"{_where(line)} has url {url!r}: it must be one of {', '.join(PATHS)}", custom_id)
    if not isinstance(body, dict):
        raise InvalidLine(f"{_where(line)} has no body, a JSON object", custom_id)
    if body.get("stream"):
        raise InvalidLine(f"{_where(line)} asks for a stream, which a batch file can not hold", custom_id)
    return body


def _where(line: Line) -> str:
    return f"the line at byte {line.start}"
