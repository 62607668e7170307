"""``python -m bench``: measure, show a table, write JSON. See docs/benchmarks.md."""

import asyncio
import contextlib
import logging
import sys

import structlog

from bench import isolation, placements
from bench.measurements import CLUSTERED, ISOLATED, MEASUREMENTS, SIZED
from bench.options import Options, Skipped, parse
from bench.report import Report
from bench.run import Run
from localcluster import cluster as local
from localcluster import packages, tools
from localcluster.errors import LocalClusterError


def main() -> int:
    """Make the chosen measurements. Returns the exit status, 0 also where a bar is missed."""
    options = parse(sys.argv[1:], list(MEASUREMENTS))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        if not isolation.is_inside():
            _fetch(options)
            if ISOLATED.intersection(options.only):
                isolation.enter()
        asyncio.run(_measure(options))
    except LocalClusterError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _fetch(options: Options) -> None:
    """Have ready what the measurements need: from inside no download leads anywhere."""
    if CLUSTERED.intersection(options.only):
        tools.ensure(tools.CONTROL_PLANE)
    if "prometheus" in options.only:
        with contextlib.suppress(LocalClusterError):  # the measurement says it
            packages.prometheus()
    if "placements" in options.only and not local.missing_for_containers():
        placements.fetch()


async def _measure(options: Options) -> None:
    report = Report(options)
    for number, size in enumerate(options.sizes):
        async with Run.begun(options.at(size)) as run:
            for name in options.only:
                if name not in SIZED and number:
                    continue
                print(f"measuring {name}, {size} endpoints ...", file=sys.stderr, flush=True)
                try:
                    report.add(name, size, await MEASUREMENTS[name](run))
                except Skipped as reason:
                    report.skip(name, size, str(reason), reason.figures)
                except LocalClusterError as reason:
                    report.skip(name, size, str(reason))
                report.write()
    report.show()


if __name__ == "__main__":
    sys.exit(main())
