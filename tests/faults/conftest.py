"""One running portal for each database, healed before each test; afterwards it must not have met an error it did not foresee."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.pscloud.testing import running_pscloud
from tests.faults.stack import Stack
from tests.postgres import MISSING, find_programs

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here starts the product's processes."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.service)


def started(kind: Any, tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Stack]:
    if kind == "postgresql" and find_programs() is None:
        pytest.skip(MISSING)
    with running_pscloud(customers=600, faulty_records=False) as pscloud:
        stack = Stack(tmp_path_factory.mktemp(f"faults-{kind}"), kind, pscloud, sqlite_template)
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()


@pytest.fixture(scope="session")
def sqlite_stack(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Stack]:
    """The whole portal on SQLite."""
    yield from started("sqlite", tmp_path_factory, sqlite_template)


@pytest.fixture(scope="session")
def postgres_stack(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Stack]:
    """The whole portal on PostgreSQL."""
    yield from started("postgresql", tmp_path_factory, sqlite_template)


def healed(stack: Stack) -> Iterator[Stack]:
    stack.heal()
    before = len(stack.complaints())
    yield stack
    assert stack.complaints()[before:] == [], "the portal met an error it did not foresee"


@pytest.fixture(params=["sqlite", "postgresql"])
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A running, healthy portal, once on each database."""
    yield from healed(request.getfixturevalue("sqlite_stack" if request.param == "sqlite" else "postgres_stack"))


@pytest.fixture
def on_sqlite(sqlite_stack: Stack) -> Iterator[Stack]:
    """A running, healthy portal on SQLite, where the database does not matter."""
    yield from healed(sqlite_stack)


@pytest.fixture
def on_postgres(postgres_stack: Stack) -> Iterator[Stack]:
    """A running, healthy portal on PostgreSQL."""
    yield from healed(postgres_stack)
