"""What a job is, and how its callers see it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from engineclient import Answer

Status = Literal["queued", "in_progress", "completed", "failed", "cancelled"]
PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
READ = (
    "path", "status", "attempts", "created_at", "started_at", "finished_at", "expires_at", "webhook",
    "status_code", "request_id", "content_type", "answer", "error_code", "error",
)  # fmt: skip
"""What is read of a job in Redis: all but what it was asked."""


@dataclass(frozen=True)
class Job:
    """A job as Redis has it. Times are seconds since 1970."""

    id: str
    path: str
    status: Status
    attempts: int
    """How often a worker has begun with it."""
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    expires_at: float | None = None
    webhook: str | None = None
    answer: Answer | None = None
    """The engine's, a refusal included."""
    error_code: str | None = None
    error: str | None = None
    """Why it failed, or why the last attempt did."""

    @classmethod
    def from_redis(cls, job_id: str, values: Sequence[bytes | None]) -> "Job | None":
        """Of the values of ``READ``; None where there is no such job."""
        found = {name: value for name, value in zip(READ, values, strict=True) if value is not None}
        if "status" not in found:
            return None

        def text(name: str) -> str | None:
            return found[name].decode() if name in found else None

        def seconds(name: str) -> float | None:
            return float(found[name]) / 1000 if name in found else None

        answer = None
        if "answer" in found:
            answer = Answer(
                int(found["status_code"]), found["answer"], text("content_type") or "", text("request_id") or ""
            )
        return cls(
            id=job_id,
            path=text("path") or "",
            status=cast("Status", found["status"].decode()),
            attempts=int(found["attempts"]),
            created_at=seconds("created_at") or 0.0,
            started_at=seconds("started_at"),
            finished_at=seconds("finished_at"),
            expires_at=seconds("expires_at"),
            webhook=text("webhook"),
            answer=answer,
            error_code=text("error_code"),
            error=text("error"),
        )

    def to_json(self) -> dict[str, Any]:
        """What the API says of it. ``response`` is as in the output of OpenAI's Batch API."""
        response, error = None, None
        if self.answer is not None:
            response = {
                "status_code": self.answer.status, "request_id": self.answer.request_id, "body": _parsed(self.answer),
            }  # fmt: skip
        if self.status == "failed":
            error = {"code": self.error_code, "message": self.error}
        return {
            "id": self.id,
            "object": "job",
            "endpoint": self.path,
            "status": self.status,
            "attempts": self.attempts,
            "created_at": int(self.created_at),
            "in_progress_at": _whole(self.started_at),
            "finished_at": _whole(self.finished_at),
            "expires_at": _whole(self.expires_at),
            "response": response,
            "error": error,
        }


@dataclass(frozen=True)
class TakenJob:
    """A job that this worker has now."""

    entry: str
    """Its entry in the stream."""
    id: str
    path: str
    body: bytes
    attempt: int
    waited: float
    """Seconds since it came."""


@dataclass(frozen=True)
class Backlog:
    """What is to be done."""

    queued: int
    in_progress: int
    """Those that wait for another attempt included."""
    oldest_seconds: float
    """How long the oldest of those that no worker has taken waits."""
    webhooks: int
    ended: Mapping[str, int]
    """Jobs by how they ended, since the queue began."""


def ending(answer: Answer) -> tuple[Status, dict[str, bytes | int | str]]:
    """How a job ends with an answer, and what is kept of it in Redis."""
    kept: dict[str, bytes | int | str] = {
        "status_code": answer.status,
        "request_id": answer.request_id,
        "content_type": answer.content_type,
        "answer": answer.body,
    }
    if answer.status < 300:
        return "completed", kept
    return "failed", kept | {
        "error_code": "engine_refused", "error": f"the engine answered {answer.status}: see response",
    }  # fmt: skip


def _parsed(answer: Answer) -> Any:
    try:
        return json.loads(answer.body, parse_constant=_refused)
    except (ValueError, RecursionError):
        return answer.body.decode(errors="replace")


def _refused(constant: str) -> None:
    raise ValueError(f"JSON has no {constant}")


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)
