"""A real Redis on loopback, which can be killed and comes back with what it had."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from redis import Redis, RedisError

from localcluster import packages
from support.prometheus import free_port


class RedisServer:
    """One that writes down what it is told before it says so."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [
            packages.redis(), f"--port {self.port}", "--bind 127.0.0.1", f"--dir {self._directory}", "--save ''",
            # While everysec syncs, it says so before it has written.
            "--appendonly yes", "--appendfsync no", f"--logfile {self._directory / 'redis.log'}",
        ]  # fmt: skip
        self._process = subprocess.Popen([part for words in command for part in words.split(" ", 1)])
        end = time.monotonic() + 20
        with Redis.from_url(self.url) as client:
            while True:
                with contextlib.suppress(RedisError):
                    client.ping()
                    return
                assert time.monotonic() < end, (self._directory / "redis.log").read_text()[-2000:]
                time.sleep(0.05)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None


@contextlib.contextmanager
def running_redis(directory: Path) -> Iterator[RedisServer]:
    server = RedisServer(directory)
    server.start()
    try:
        yield server
    finally:
        server.kill()
