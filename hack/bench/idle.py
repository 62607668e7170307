"""Settled endpoints: what an operator writes, uses and asks when there is nothing to do, and after a restart."""

import asyncio
import time
from collections import Counter
from functools import partial

from bench.audit import questions, writes
from bench.contenders import PRODUCT, Contender, of_each
from bench.creation import populated
from bench.figures import Figure
from bench.run import Run
from bench.site import Site, scrapes
from llmendpoint.metrics.parser import parse

WRITES_BAR = 0.0
MEMORY_BAR = 130.0
TICK_BAR = 10.0
# Two ticks and a half: the decisions that follow from the last change have been written.
QUIET_SECONDS = 25.0
RESTART_SECONDS = 10.0
TICK = "llmendpoint_tick_duration_seconds"


async def measure(run: Run) -> list[Figure]:
    """Counted by the API server; leases and events are left out of the bar and shown beside."""
    site = await run.site()
    await populated(site)
    return await of_each(partial(_measure, site))


async def _measure(site: Site, contender: Contender) -> list[Figure]:
    await site.hand_over(contender)
    stopped = await site.until_quiet(QUIET_SECONDS)
    note = "" if stopped else f"; it had not stopped writing in {site.options.longest:.0f} s"
    return [*await _watched(site, contender, note), *await _restarted(site, contender)]


async def _watched(site: Site, contender: Contender, note: str) -> list[Figure]:
    seconds = site.options.idle_seconds
    before, cpu, scraped, ticked = (
        site.requests(contender), site.process.cpu_seconds, await scrapes(), await _ticks(contender)
    )  # fmt: skip
    started = time.monotonic()
    await asyncio.sleep(seconds)
    requests = site.requests(contender) - before
    took = time.monotonic() - started
    share = (site.process.cpu_seconds - cpu) / took * 100.0
    pace = (await scrapes() - scraped) / took
    size = {"endpoints": site.options.endpoints, "pods": site.pods, "seconds": seconds}
    name, bars = contender.name, (WRITES_BAR, MEMORY_BAR) if contender is PRODUCT else (None, None)
    figures = [
        Figure(f"{name}: writes when idle", writes(requests), "", bars[0], size | {"requests": dict(requests)},
               f"in {seconds:.0f} s; all requests: {_told(requests)}{note}"),
        Figure(f"{name}: memory", site.process.resident_mib, "MiB", bars[1], size, "VmRSS"),
        Figure(f"{name}: processor time when idle", share, "% of a core", None, size,
               f"with {pace:.0f} scrapes/s, {site.pods / 10:.0f} wanted"),
    ]  # fmt: skip
    if contender is PRODUCT:
        total, count = (now - then for now, then in zip(await _ticks(contender), ticked, strict=True))
        figures.append(Figure(f"{name}: tick in the cluster", total / max(count, 1), "s", TICK_BAR, size))
    return figures


async def _restarted(site: Site, contender: Contender) -> list[Figure]:
    """A restart is a resync of all that does not change."""
    await site.stop()
    before, started = site.requests(contender), time.monotonic()
    ready = await site.start(contender)
    last = await site.until_quiet(RESTART_SECONDS, questions)
    requests, cpu = site.requests(contender) - before, site.process.cpu_seconds
    size = {"endpoints": site.options.endpoints, "pods": site.pods, "readySeconds": ready, "requests": dict(requests)}
    took = last - started if last else time.monotonic() - started
    note = f"last request {took:.1f} s after the start{'' if last else ', and it went on'}: {_told(requests)}"
    name, bar = contender.name, WRITES_BAR if contender is PRODUCT else None
    return [
        Figure(f"{name}: writes after a restart, nothing changed", writes(requests), "", bar, size, note),
        Figure(f"{name}: restart until its last request", took, "s", None, size),
        Figure(f"{name}: processor time of a restart", cpu, "s", None, size, f"until {RESTART_SECONDS:.0f} s of quiet"),
    ]


async def _ticks(contender: Contender) -> tuple[float, float]:
    """Seconds and number of ticks so far, by the product's own metrics."""
    if contender is not PRODUCT:
        return 0.0, 0.0
    wanted = {f"{TICK}_sum", f"{TICK}_count"}
    found = parse(await contender.read("/metrics"), wanted)
    return found[f"{TICK}_sum"][0].value, found[f"{TICK}_count"][0].value


def _told(requests: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in requests.most_common()) or "none"
