"""One Redis for all tests of this folder; each has an endpoint's name, and so keys, of its own."""

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from jobqueue.store import Store, connect
from support.redis_servers import RedisServer, running_redis

TTL = 3600


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    async with connect(redis_server.url) as client:
        yield client


@pytest.fixture
def name() -> str:
    return f"team/{uuid.uuid4().hex}"


@pytest.fixture
def store(redis: Redis, name: str) -> Store:
    return Store(redis, name, TTL)
