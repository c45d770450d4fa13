"""A throw-away Redis for tests: the same real server, found and started the same way, as ./run's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from workers import redis_server


@contextmanager
def running_redis(directory: Path) -> Iterator[str]:
    """A running server with its data in `directory`; gives its URL. Skips the test, with the reason, where none can be found."""
    try:
        redis_server.find_binary()
    except redis_server.RedisServerError as error:
        pytest.skip(str(error))
    with redis_server.running_redis(directory) as server:
        yield server.url
