"""Settled endpoints cost nothing: no write to the API server, little processor time, bounded memory."""

import asyncio

from bench.creation import populated
from bench.figures import Figure
from bench.run import Run
from bench.site import Site, operator_writes

WRITES_BAR = 0.0
MEMORY_BAR = 130.0
# Two ticks and a half: the decisions that follow from the last change have been written.
QUIET_SECONDS = 25.0
RESTART_SECONDS = 30.0


async def measure(run: Run) -> list[Figure]:
    """Counted by the API server; leases and events are left out of the bar and shown beside."""
    site = await run.site()
    await populated(site)
    if not await site.until_quiet(QUIET_SECONDS):
        print("the operator did not stop writing within ten minutes")
    seconds = run.options.idle_seconds
    return [*await _watched(site, seconds), await _restarted(site)]


async def _watched(site: Site, seconds: float) -> list[Figure]:
    operator = site.operator
    before, own, cpu = await site.requests(), await operator_writes(), operator.cpu_seconds
    await asyncio.sleep(seconds)
    after, own_after, cpu_after = await site.requests(), await operator_writes(), operator.cpu_seconds
    requests = {name: after[name] - before[name] for name in after}
    size = {"endpoints": site.options.endpoints, "pods": site.pods, "seconds": seconds}
    written = {what: count - own.get(what, 0.0) for what, count in own_after.items() if count != own.get(what, 0.0)}
    return [
        Figure("writes when idle", requests["writes"], "", WRITES_BAR, size | requests | {"operatorSays": written},
               f"in {seconds:.0f} s; events {requests['events']:.0f}, leases {requests['leases']:.0f}"),
        Figure("memory", operator.resident_mib, "MiB", MEMORY_BAR, size, f"VmRSS, {site.pods} pods"),
        Figure("processor time when idle", (cpu_after - cpu) / seconds * 100.0, "% of a core", None, size),
    ]  # fmt: skip


async def _restarted(site: Site) -> Figure:
    await site.stop_operator()
    before = await site.requests()
    ready = await site.start_operator()
    await asyncio.sleep(RESTART_SECONDS)
    after = await site.requests()
    requests = {name: after[name] - before[name] for name in after}
    raw = requests | {"readySeconds": ready, "operatorSays": await operator_writes()}
    note = f"in {RESTART_SECONDS:.0f} s after it was ready, which took {ready:.1f} s"
    return Figure("writes after a restart", requests["writes"], "", WRITES_BAR, raw, note)
