"""One server with the S3 API for all tests of this folder."""

from collections.abc import Iterator

import pytest

from support.batches import S3, running_s3


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server
