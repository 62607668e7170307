"""The result of one check: how it is, what was found, and what to do."""

from typing import Literal

from pydantic import Field

from llmendpoint.api.base import ApiModel
from llmendpoint.cluster.errors import ClusterError, Forbidden

Level = Literal["ok", "warn", "fail", "skip"]


class Check(ApiModel):
    """One line of the doctor."""

    level: Level = Field(description="skip: not looked at, and why.")
    subject: str
    found: str
    todo: str | None = Field(None, description="What to do.")


def unread(subject: str, error: ClusterError) -> Check:
    """The line of something that could not be read."""
    if isinstance(error, Forbidden):
        return Check(level="skip", subject=subject, found=f"you may not look: {error.said}")
    return Check(level="warn", subject=subject, found=f"could not be read: {error}", todo="try again")
