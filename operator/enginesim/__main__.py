"""``python -m enginesim vllm serve ...``, ``... tgi ...``, ``... sglang serve ...`` or ``... load ...``."""

import asyncio
import sys

from enginesim import load
from enginesim.options import parse
from enginesim.server import serve


def main() -> int:
    """Do what the arguments say. Returns the exit status."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["load"]:
        return load.main(arguments[1:])
    return asyncio.run(serve(parse(arguments)))


if __name__ == "__main__":
    sys.exit(main())
