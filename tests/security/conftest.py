"""Fixtures of the security tests: a world built once, its database copied for each test, the clock standing at its moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import time_machine
from flask import Flask

from config import TestConfig
from portal import create_app, doorbell
from portal.extensions import limiter
from tests.conftest import migrated
from tests.factories import NOW
from tests.security import world as worlds
from tests.security.world import World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Everybody signed in, in a database file that is only ever copied."""
    folder = tmp_path_factory.mktemp("world")
    with time_machine.travel(NOW, tick=False):
        return worlds.build(migrated(folder, f"sqlite:///{folder / 'building.sqlite3'}"), folder / "world.sqlite3")


@pytest.fixture(autouse=True)
def moment(world: World) -> Iterator[time_machine.Traveller]:
    """The clock stands still at NOW until a test moves it."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def rings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The doorbell's rings instead of a Redis."""
    heard: list[str] = []

    def ring(job_name: str, *args: int | str, job_id: str | None = None) -> bool:
        heard.append(job_name)
        return True

    monkeypatch.setattr(doorbell, "ring", ring)
    return heard


def closing(app: Flask, world: World) -> Iterator[Flask]:
    world.restore(app)
    yield app
    worlds.close(app)


@pytest.fixture(scope="session")
def shared_app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """One app for all tests that leave it as it is; making one takes longer than most of them."""
    folder = tmp_path_factory.mktemp("shared")
    return create_app(TestConfig(folder, DATABASE_URL=f"sqlite:///{folder / 'portal.sqlite3'}"))


@pytest.fixture
def app(shared_app: Flask, world: World, rings: list[str]) -> Iterator[Flask]:
    """The app on a copy of the world."""
    yield from closing(shared_app, world)


@pytest.fixture
def own_app(tmp_path: Path, world: World, rings: list[str]) -> Iterator[Flask]:
    """An app of the test's own, to be changed."""
    yield from closing(create_app(TestConfig(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path / 'portal.sqlite3'}")), world)


@pytest.fixture
def limited_app(tmp_path: Path, world: World, rings: list[str]) -> Iterator[Flask]:
    """The same with rate limits in force."""
    config = TestConfig(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path / 'portal.sqlite3'}", LOGIN_ATTEMPTS="3 per minute; 6 per hour")
    config.LOGIN_ATTEMPTS_OF_AN_ADDRESS = "8 per minute"
    yield from closing(create_app(config), world)
    limiter.enabled = False  # it is one for all apps, and the shared one came first
