"""Sends jobs, each twice with one key, polls until all have an end, and prints what became of them as JSON.

Runs in a pod: ``python -c SOURCE URL JOBS MAX_TOKENS``.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any

import aiohttp

ENDS = {"completed", "failed", "cancelled"}
POLL_SECONDS = 0.5
AT_A_TIME = 32


async def main(url: str, jobs: int, max_tokens: int) -> None:
    started = time.monotonic()
    places = asyncio.Semaphore(AT_A_TIME)
    async with aiohttp.ClientSession(url) as session:

        async def send(number: int) -> list[str]:
            text = f"job {number}"
            body = {"model": "tiny", "max_tokens": max_tokens, "messages": [{"role": "user", "content": text}]}
            return [await accepted(body, text) for _ in range(2)]

        async def accepted(body: dict[str, Any], key: str) -> str:
            async with (
                places,
                session.post("/v1/chat/completions", json=body, headers={"Idempotency-Key": key}) as answer,
            ):
                assert answer.status == 202, await answer.text()
                job: str = (await answer.json())["id"]
                assert answer.headers["Location"] == f"/v1/jobs/{job}"
                return job

        async def end(job: str) -> dict[str, Any]:
            while True:
                async with places, session.get(f"/v1/jobs/{job}") as answer:
                    found: dict[str, Any] = await answer.json()
                if found["status"] in ENDS:
                    return {**found, "after": time.monotonic() - started}
                await asyncio.sleep(POLL_SECONDS)

        ids = {job for pair in await asyncio.gather(*map(send, range(jobs))) for job in pair}
        print(json.dumps({"accepted": len(ids), "seconds": round(time.monotonic() - started, 1)}), flush=True)
        ended = await asyncio.gather(*map(end, ids))
    answers = [found["response"]["body"]["choices"][0]["message"]["content"] for found in ended if found["response"]]
    result = {
        "done": True,
        "statuses": dict(Counter(found["status"] for found in ended)),
        "answers": sum(bool(answer) for answer in answers),
        "attempts": dict(Counter(found["attempts"] for found in ended)),
        "first": round(min(found["after"] for found in ended), 1),
        "last": round(max(found["after"] for found in ended), 1),
    }
    print(json.dumps(result), flush=True)


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
