"""Refuses request bodies that are too large, without keeping them."""

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Middleware.

    Args:
        app: what is behind it.
        max_bytes: of a body; the rest of a larger one is read and dropped, so that the client reads the answer.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken <= self._max_bytes:
                return message
            while message["type"] == "http.request" and message.get("more_body"):
                message = await receive()
            raise HTTPException(413, f"The body has more than {self._max_bytes:,} bytes: ask a shorter question.")

        await self._app(scope, limited, send)
