"""Fixtures of the page tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import TestConfig
from portal import create_app
from portal.extensions import db
from tests.blueprints.office_site import PEOPLE, Site, cookie_of, fill

Office = tuple[Path, dict[str, str]]


@pytest.fixture(scope="session")
def office_template(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Office:
    """The database of the office, made once, and the session cookie of each person in it."""
    file = tmp_path_factory.mktemp("office") / "portal.sqlite3"
    shutil.copy(sqlite_template, file)
    app = create_app(TestConfig(file.parent, DATABASE_URL=f"sqlite:///{file}"))
    with app.app_context():
        fill()
    cookies = {name: cookie_of(app, name) for name in (*PEOPLE, "nena")}
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    return file, cookies


@pytest.fixture
def site(tmp_path: Path, office_template: Office) -> Iterator[Site]:
    """The office, fresh for each test."""
    file, cookies = office_template
    shutil.copy(file, tmp_path / "portal.sqlite3")
    app = create_app(TestConfig(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path / 'portal.sqlite3'}"))
    yield Site(app, cookies)
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
