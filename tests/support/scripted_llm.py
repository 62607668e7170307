"""A chat server that does what a RAG service asks of an LLM, or what it is told to do in place of that."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

from aiohttp import web

Reply = Callable[[list[dict[str, str]]], str]


class ScriptedLlm:
    """Names the author that a question names, rephrases it, and answers with the first source's number.

    Attributes:
        statuses: answered to the next requests, one each, before any reply.
        retry_after: goes with those.
        reply: gives the text in place of the script.
        hold: while it is set, a stream stands still after its first token.
        error: a stream says after its first token that this went wrong, as vLLM does.
        cut: a stream ends after its first token, without an end.
        ends_early: a stream ends after its first token as if it were whole, but without a finish_reason and [DONE].
        drops: so many next requests end with their connection, before any byte of an answer.
        silent: only comments come, no token, until the client goes away.
        requests: the bodies that came.
        left: streams whose client went away.
    """

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.retry_after = ""
        self.reply: Reply = scripted
        self.hold = False
        self.cut = False
        self.ends_early = False
        self.drops = 0
        self.silent = False
        self.error = ""
        self.requests: list[dict[str, Any]] = []
        self.connections: set[asyncio.BaseTransport | None] = set()
        self.left = 0

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        return app

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.connections.add(request.transport)
        if self.drops:
            self.drops -= 1
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if self.statuses:
            status = self.statuses.pop(0)
            headers = {"Retry-After": self.retry_after} if self.retry_after else {}
            return web.json_response({"error": {"message": f"scripted {status}"}}, status=status, headers=headers)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            while self.silent:
                await asyncio.sleep(0.02)
                await response.write(b": still there\n\n")
            for piece in re.findall(r"\S+\s*", self.reply(body["messages"])):
                event = {"choices": [{"index": 0, "delta": {"content": piece}}]}
                await response.write(b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n")
                if self.error:
                    await response.write(b"data: " + json.dumps({"error": {"message": self.error}}).encode() + b"\n\n")
                if self.cut:
                    assert request.transport is not None
                    request.transport.close()
                if self.ends_early:
                    return response
                while self.hold:
                    await asyncio.sleep(0.02)
                    await response.write(b": still there\n\n")
            await response.write(b"data: [DONE]\n\n")
        except (ConnectionError, asyncio.CancelledError):
            self.left += 1
        return response


def scripted(messages: list[dict[str, str]]) -> str:
    """What a good model answers."""
    instruction, asked = messages[0]["content"], messages[1]["content"]
    if "Authors:" in instruction:
        authors = re.findall(r"^- (.+)$", instruction, re.MULTILINE)
        return next((author for author in authors if author in asked), "none")
    if instruction.startswith("Rewrite"):
        return f"1. Tell me: {asked}\n2. I want to know: {asked}"
    found = re.search(r"\[1\] (.+)", asked)
    return f"It is in {found[1]} [1]." if found else "I do not know."
