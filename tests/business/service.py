"""The smallest business service, for tests: it adds a system prompt to a chat and forwards it, streams included.

It reads what the operator injects: LLM_BASE_URL, LLM_MODEL, OPENAI_API_KEY.
"""

import asyncio
import os
import signal

import aiohttp
from aiohttp import web

SYSTEM = {"role": "system", "content": "Answer from the documents that you are given."}
PORT = int(os.environ.get("PORT", "8000"))
# A pooled connection would still lead to an engine that is about to stop; a new one never does.
CONNECTOR = {"limit": 0, "force_close": True}


async def chat(request: web.Request) -> web.StreamResponse:
    """Forward a chat completion."""
    body = await request.json()
    body["messages"] = [SYSTEM, *body.get("messages", [])]
    body["model"] = os.environ["LLM_MODEL"] if os.environ.get("LLM_SENDS_MODEL", "1") == "1" else None
    url = f"{os.environ['LLM_BASE_URL']}/v1/chat/completions"
    key = os.environ.get("OPENAI_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    session: aiohttp.ClientSession = request.app["session"]
    try:
        async with session.post(url, json=body, headers=headers) as answer:
            response = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response
    except aiohttp.ClientConnectionError as error:
        return web.json_response({"error": {"message": f"the LLM does not answer: {error}"}}, status=502)


async def healthz(_: web.Request) -> web.Response:
    """Ready to take requests; the LLM's readiness is its own."""
    return web.Response(text="ok")


async def main() -> None:
    """Serve until SIGTERM, then finish what is in flight."""
    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", chat), web.get("/healthz", healthz)])
    timeout = aiohttp.ClientTimeout(total=None, connect=10)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(**CONNECTOR), timeout=timeout) as session:
        app["session"] = session
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=600.0)
        await runner.setup()
        await web.TCPSite(runner, "0.0.0.0", PORT, backlog=2048).start()
        await stop.wait()
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
