"""``python -m bench``: measure, show a table, write JSON. See docs/benchmarks.md."""

import asyncio
import logging
import sys

import structlog

from bench import isolation
from bench.measurements import MEASUREMENTS
from bench.options import Options, Skipped, parse
from bench.report import Report
from bench.run import Run
from localcluster import tools
from localcluster.errors import LocalClusterError


def main() -> int:
    """Make the chosen measurements. Returns the exit status, 0 also where a bar is missed."""
    options = parse(sys.argv[1:], list(MEASUREMENTS))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        if not isolation.is_inside():
            tools.ensure(tools.CONTROL_PLANE)  # from inside no download leads anywhere
            isolation.enter()
        asyncio.run(_measure(options))
    except LocalClusterError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def _measure(options: Options) -> None:
    report = Report(options)
    async with Run.begun(options) as run:
        for name in options.only:
            print(f"measuring {name} ...", file=sys.stderr, flush=True)
            try:
                report.figures[name] = await MEASUREMENTS[name](run)
            except Skipped as reason:
                report.skipped[name] = str(reason)
            report.write()
    report.show()


if __name__ == "__main__":
    sys.exit(main())
