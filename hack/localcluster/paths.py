"""Where things lie: what is kept between clusters and what belongs to one."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
"""The repository."""


def cache_dir() -> Path:
    """Built tools and image layers, kept between clusters."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "llmendpoint"


def state_dir(name: str) -> Path:
    """All files of one cluster; removed with it."""
    return Path(os.environ.get("XDG_STATE_HOME", Path.home() / ".local/state")) / "llmendpoint" / name
