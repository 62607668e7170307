"""What became of a line, as a line of OpenAI's output or error file."""

import json
from dataclasses import dataclass
from typing import Any

from batchworker.lines import Line
from engineclient import Answer, Usage, usage_of

NO_TOKENS = Usage()


@dataclass(frozen=True)
class Record:
    """One line's end."""

    line: int
    """Where it begins in the input."""
    succeeded: bool
    text: bytes
    """JSON and a newline."""
    usage: Usage = NO_TOKENS


def answered(line: Line, custom_id: str, answer: Answer) -> Record:
    """An engine's answer that stands. A refusal is a failed line that holds it, as with OpenAI."""
    succeeded = answer.status // 100 == 2
    response = {"status_code": answer.status, "request_id": answer.request_id}
    try:
        text = _text(line, custom_id, response | {"body": json.loads(answer.body)}, None)
    except (ValueError, RecursionError):  # what Python reads and JSON has not, NaN or a nesting so deep, among them
        text = _text(line, custom_id, response | {"body": answer.body.decode(errors="replace")}, None)
    return Record(line.start, succeeded, text, usage_of(answer.body) if succeeded else NO_TOKENS)


def failed(line: Line, custom_id: str | None, code: str, message: str) -> Record:
    """A line that got no answer."""
    return Record(line.start, False, _text(line, custom_id, None, {"code": code, "message": message}))


def _text(line: Line, custom_id: str | None, response: dict[str, Any] | None, error: dict[str, str] | None) -> bytes:
    # Of its place, so that a line that is asked twice keeps its name.
    name = f"batch_req_{line.start:016x}"
    record = {"id": name, "custom_id": custom_id, "response": response, "error": error}
    return json.dumps(record, allow_nan=False).encode() + b"\n"
