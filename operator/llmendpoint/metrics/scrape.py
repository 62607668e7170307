"""The default source: the operator reads each ready engine pod's /metrics itself."""

import asyncio
from collections.abc import Callable, Iterator, Sequence

import aiohttp

from llmendpoint.engines import engine_for
from llmendpoint.metrics.exporter import Exporter
from llmendpoint.metrics.extract import sample_of
from llmendpoint.metrics.parser import parse
from llmendpoint.metrics.source import EndpointReading, EndpointTarget, PodTarget
from llmendpoint.scaling.signals import EngineSample
from llmendpoint.scaling.target_tracking import reads_ttft

# Few answers at a time, because what they take together stays with the process. Those that did not answer at the last
# reading wait beside, so that some hundred pods that hang hold up nobody.
ANSWERS_IN_FLIGHT = 128
SILENT_IN_FLIGHT = 384
LARGEST_TEXT = 4 * 1024 * 1024

_Scrape = tuple[dict[str, EngineSample | str], EndpointTarget, PodTarget]
"""One pod of an endpoint, and where its reading goes."""


def scrape_session() -> aiohttp.ClientSession:
    """What a PodScraper asks with.

    Connections end with their answer. An engine closes one that is idle for 5 s (uvicorn's default, in vLLM and SGLang
    alike), sooner than the next tick, and those to engines that do not would be most of the operator's memory.
    """
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))


class PodScraper:
    """Reads pods over HTTP, many at a time.

    Args:
        timeout: seconds that one pod may take.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        exporter: Exporter,
        *,
        timeout: float,
        clock: Callable[[], float],
    ) -> None:
        self._session = session
        self._exporter = exporter
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        # Others get their turn between any two: a hundred answers that were read in one go would hold up an edit.
        self._one_at_a_time = asyncio.Lock()
        self._silent: set[str] = set()
        """Addresses that did not answer in time at the last reading."""

    async def read(self, targets: Sequence[EndpointTarget]) -> list[EndpointReading]:
        """One reading per target, in the same order. Never raises."""
        read: list[dict[str, EngineSample | str]] = [{} for _ in targets]
        silent, self._silent = self._silent, set()
        lanes: tuple[list[_Scrape], list[_Scrape]] = ([], [])
        for found, target in zip(read, targets, strict=True):
            for pod in target.pods:
                lanes[pod.address in silent].append((found, target, pod))

        async def work(waiting: Iterator[_Scrape]) -> None:
            for found, target, pod in waiting:
                found[pod.name] = await self._read_pod(target, pod)

        async with asyncio.TaskGroup() as group:
            for lane, workers in zip(lanes, (ANSWERS_IN_FLIGHT, SILENT_IN_FLIGHT), strict=True):
                waiting = iter(lane)
                for _ in range(min(workers, len(lane))):
                    group.create_task(work(waiting))
        return [
            EndpointReading(
                samples={pod: sample for pod, sample in found.items() if isinstance(sample, EngineSample)},
                errors={pod: why for pod, why in found.items() if isinstance(why, str)},
            )
            for found in read
        ]

    async def _read_pod(self, target: EndpointTarget, pod: PodTarget) -> EngineSample | str:
        names = engine_for(target.engine).metrics
        try:
            # A pod runs what its tenant wants: where it points to is none of the operator's business.
            async with self._session.get(
                f"http://{pod.address}/metrics", timeout=self._timeout, allow_redirects=False
            ) as answer:
                body = await answer.content.read(LARGEST_TEXT)
                while not answer.content.at_eof() and len(body) < LARGEST_TEXT:
                    body += await answer.content.read(LARGEST_TEXT)
                status = answer.status
        except TimeoutError:
            self._silent.add(pod.address)
            return self._count("timeout", f"no answer from {pod.address}/metrics within {self._timeout.total} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return self._count("refused", f"{pod.address}/metrics: {type(error).__name__}: {error}")
        if status != 200:
            return self._count("error", f"{pod.address}/metrics answered {status}")
        taken_at = self._clock()
        async with self._one_at_a_time:
            await asyncio.sleep(0)
            text = body.decode(errors="replace")
            sample = sample_of(
                parse(text, names.wanted if reads_ttft(target.scaling) else names.without_ttft),
                names,
                taken_at=taken_at,
                own_metrics=names.prefix in text,
                objective=target.scaling.demand.ttft_seconds,
            )
        self._exporter.scrapes.labels("ok" if isinstance(sample, EngineSample) else "empty").inc()
        return sample

    def _count(self, result: str, why: str) -> str:
        self._exporter.scrapes.labels(result).inc()
        return why
