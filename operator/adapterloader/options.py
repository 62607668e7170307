"""What a loader is told: which engine, where the list is, and where files are."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """The command line, and the engine's key from the environment."""

    engine: str
    """vllm or sglang: whose way of loading adapters it has."""
    engine_url: str
    list: Path
    """The file with the list. It may be empty or absent, until somebody has said what to load."""
    root: Path
    """Where fetched adapters are kept."""
    given: Path
    """Where adapters lie that need not be fetched."""
    control_port: int
    host: str = "0.0.0.0"  # noqa: S104 - a pod's own address is known to the kubelet alone
    api_key: str | None = None


def parse(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Options:
    """Read the command line; what is wrong ends the process with status 2."""
    parser = argparse.ArgumentParser(prog="adapterloader", description=__doc__)
    parser.add_argument("--engine", required=True, choices=["vllm", "sglang"])
    parser.add_argument("--engine-url", required=True)
    parser.add_argument("--list", required=True, type=Path)
    parser.add_argument("--root", required=True, type=Path)
    parser.add_argument("--given", required=True, type=Path)
    parser.add_argument("--control-port", required=True, type=int)
    parser.add_argument("--host", default=Options.host)
    environment = os.environ if environment is None else environment
    return Options(**vars(parser.parse_args(arguments)), api_key=environment.get("OPENAI_API_KEY"))
