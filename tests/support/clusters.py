"""Clusters of a test module's own, removed at its end."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localcluster import cluster as local
from localcluster.cluster import Cluster


@contextmanager
def running_apiserver(name: str, *, fake_nodes: int, audit_policy: Path | None = None) -> Iterator[Cluster]:
    """An API server with its controllers that knows the CRD, and fake nodes that let pods become ready."""
    made = local.up(f"{name}-{os.getpid()}", node=False, fake_nodes=fake_nodes, audit_policy=audit_policy)
    try:
        made.install_crd()
        yield made
    finally:
        made.down()
