"""Asks the workers of a batch how far they are."""

import asyncio
from collections.abc import Iterable, Mapping

import aiohttp

from llmendpoint.manifests.batch import CONTROL_NUMBER
from llmendpoint.metrics.source import host_port
from llmendpoint.reconcile.batch_progress import Progress, parse_progress
from llmendpoint.reconcile.batch_view import phase
from llmendpoint.reconcile.observation import Manifest

LONGEST_ANSWER = 4096


async def ask_workers(
    session: aiohttp.ClientSession, pods: Iterable[Manifest], *, seconds: float, port: int = CONTROL_NUMBER
) -> Mapping[str, Progress]:
    """What the workers in running pods say, by pod. Who says nothing within some seconds is left out."""
    addresses = {
        str(pod["metadata"]["name"]): host_port(pod["status"]["podIP"], port)
        for pod in pods
        if phase(pod) == "Running" and pod["status"].get("podIP")
    }
    said = await asyncio.gather(*(_ask(session, address, seconds) for address in addresses.values()))
    return {name: progress for name, progress in zip(addresses, said, strict=True) if progress}


async def _ask(session: aiohttp.ClientSession, address: str, seconds: float) -> Progress | None:
    url, timeout = f"http://{address}/progress", aiohttp.ClientTimeout(total=seconds)
    try:
        # Where it points to is none of the operator's business.
        async with session.get(url, timeout=timeout, allow_redirects=False) as answer:
            return parse_progress((await answer.content.read(LONGEST_ANSWER)).decode(errors="replace"))
    except (aiohttp.ClientError, OSError):
        return None
