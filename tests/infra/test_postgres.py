"""The throw-away PostgreSQL of the tests: starts, gives separate databases, leaves nothing behind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from tests.postgres import create_database, drop_database, running_postgres

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_postgres() as url:
        yield url


def ask(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        result = connection.execute(sa.text(statement))
        return [tuple(row) for row in result] if result.returns_rows else []


def test_it_is_a_real_server_of_a_supported_version(server: str) -> None:
    ((version,),) = ask(server, "SHOW server_version_num")
    assert int(str(version)) >= 150000


def test_a_copy_holds_the_template_and_stays_apart_from_it(server: str) -> None:
    template = create_database(server, "template_of_test")
    ask(template, "CREATE TABLE soas AS SELECT 'Peña ₱' AS customer")
    copy = create_database(server, "copy_of_test", template="template_of_test")
    ask(copy, "DELETE FROM soas")
    assert ask(template, "SELECT customer FROM soas") == [("Peña ₱",)]
    drop_database(server, "copy_of_test")
    with pytest.raises(sa.exc.OperationalError, match="does not exist"):
        ask(copy, "SELECT 1")


def test_a_copy_is_cheap(server: str) -> None:
    started = time.monotonic()
    create_database(server, "cheap")
    assert time.monotonic() - started < 2


def test_it_starts_quickly_and_leaves_nothing(tmp_path: Path) -> None:
    started = time.monotonic()
    with running_postgres(tmp_path) as url:
        folder = Path(str(make_url(url).query["host"]))
        assert folder.is_dir()
        assert time.monotonic() - started < 10
    with pytest.raises(sa.exc.OperationalError):
        ask(url, "SELECT 1")
    assert not folder.exists() or folder == tmp_path
