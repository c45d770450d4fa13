"""Shared fixtures: the app on a migrated database (SQLite, and PostgreSQL where `any_app` is asked for), people, a fixed moment."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from flask import Flask, g, has_app_context
from flask.testing import FlaskClient
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

from config import TestConfig
from portal import create_app
from portal.extensions import db
from tests import factories, postgres, redis_server

NOW = datetime(2026, 11, 20, 1, 30, tzinfo=UTC)
"""09:30 on a Friday in Manila: the moment of every test that does not say otherwise."""


class CompiledTemplates(BytecodeCache):
    """Templates compiled once for all apps of a process: half of the time of a page's test went into compiling them anew."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill from what is kept; Jinja compares the checksum of the source itself."""
        if bucket.key in self.kept:
            bucket.bytecode_from_string(self.kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep."""
        self.kept[bucket.key] = bucket.bytecode_to_string()


Flask.jinja_options = {**Flask.jinja_options, "bytecode_cache": CompiledTemplates()}


class FreshClient(FlaskClient):
    """A client whose requests share nothing through `g` with each other or with the test, whose app context Flask would reuse."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        """Forget what an earlier request left in `g`, then send."""
        if has_app_context():
            vars(g._get_current_object()).clear()
            db.session.remove()
        return super().open(*args, **kwargs)


def migrated(directory: Path, url: str, **environment: str) -> Flask:
    app = create_app(TestConfig(directory, DATABASE_URL=url, **environment))
    with app.app_context():
        flask_migrate.upgrade()
        db.session.remove()
        db.engine.dispose()
    return app


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite database, to be copied."""
    file = tmp_path_factory.mktemp("template") / "portal.sqlite3"
    migrated(file.parent, f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server with a migrated, empty database named `template_portal`."""
    with postgres.running_postgres(tmp_path_factory.mktemp("pg")) as url:
        migrated(tmp_path_factory.mktemp("pgapp"), postgres.create_database(url, "template_portal"))
        yield url


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis."""
    with redis_server.running_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """A fresh SQLite database."""
    shutil.copy(sqlite_template, tmp_path / "portal.sqlite3")
    return f"sqlite:///{tmp_path / 'portal.sqlite3'}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database, once on each of the two."""
    if request.param == "sqlite":
        url: str = request.getfixturevalue("sqlite_url")
        return url
    return postgres.fresh_database(request.getfixturevalue("postgres_server"), "portal_test", "template_portal")


def opened(app: Flask) -> Iterator[Flask]:
    app.test_client_class = FreshClient
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def app(tmp_path: Path, sqlite_url: str) -> Iterator[Flask]:
    """The app on SQLite, with its context pushed."""
    yield from opened(create_app(TestConfig(tmp_path, DATABASE_URL=sqlite_url)))


@pytest.fixture
def any_app(tmp_path: Path, database_url: str) -> Iterator[Flask]:
    """The app, once on SQLite and once on PostgreSQL, with its context pushed."""
    yield from opened(create_app(TestConfig(tmp_path, DATABASE_URL=database_url)))


@pytest.fixture
def sign_in() -> Callable[[Flask, str], FlaskClient]:
    """A function: (app, user name) -> a client of that user, who exists with the factory's password."""
    return factories.sign_in


LONGEST_FIRST = ("simulation", "faults", "browser")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the folders that take minutes: with several processes none is left with them at the end."""
    here = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(here).parts[0] if here in item.path.parents else ""
        return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=place)
