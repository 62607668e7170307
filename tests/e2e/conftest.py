"""A real node with real containers, and the product installed by Helm with its own RBAC."""

import os
from collections.abc import Iterator

import pytest

from localcluster import cluster as local
from localcluster import product
from localcluster.cluster import Cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if missing := local.missing_for_containers():
        pytest.skip(missing)
    made = local.up(f"e2e-{os.getpid()}")
    try:
        product.install(made, tick_seconds=1.0)
        product.load_images(made, "business")
        yield made
    finally:
        made.down()
