"""Migrations lead to exactly the tables the models name, protect the ledger, and can be run twice and by two at once."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from sqlalchemy import Boolean, Column, Date, DateTime, Integer, MetaData, inspect, select, text

from config import TestConfig
from portal import create_app
from portal.extensions import db
from portal.migrations.names import described
from tests import factories, postgres

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
def test_the_migrated_database_is_the_one_the_models_describe(any_app: Flask) -> None:
    with db.engine.connect() as connection:
        found = compare_metadata(
            MigrationContext.configure(connection, opts={"compare_type": True, "include_object": described}), db.metadata
        )
    assert found == []


def test_upgrading_again_changes_nothing(any_app: Flask) -> None:
    db.session.execute(text("UPDATE audit_head SET hash = 'kept'"))
    db.session.commit()
    db.session.remove()
    flask_migrate.upgrade()
    assert db.session.execute(text("SELECT hash FROM audit_head")).scalar_one() == "kept"


def test_an_outdated_database_is_named_as_such_and_not_as_busy(any_app: Flask) -> None:
    app = any_app
    factories.make_user("carla", "office")
    carla = factories.sign_in(app, "carla")
    assert app.test_client().get("/readyz").get_json()["database"] == "ok"
    db.session.execute(text("UPDATE alembic_version SET version_num = 'before'"))
    db.session.execute(text("ALTER TABLE users RENAME TO people"))
    db.session.commit()
    answer = app.test_client().get("/readyz")
    assert (answer.status_code, answer.get_json()["database"]) == (503, "outdated")
    body = {"username": "nena", "password": "whatever it was"}
    refused = app.test_client().post("/api/v1/session", json=body)
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (503, "outdated")
    page = carla.get("/soas")
    assert page.status_code == 503 and "out of date" in page.get_data(as_text=True) and "Retry-After" not in page.headers
    assert app.test_cli_runner().invoke(args=["doctor"]).exit_code == 1


FIRST: dict[str, dict[str, Any]] = {
    "users": {"name": "nena", "active": True},
    "terminals": {"code": "T01", "state": "active", "user_id": 1},
    "registries": {"id": "r" * 36},
    "journal_uploads": {},
    "journal_entries": {"kind": "payment", "verdict": "stored", "seq": 1},
    "payments": {"id": "p" * 36, "tender": "cash", "status": "completed", "amount": 12345, "registry_id": "r" * 36},
    "payment_flags": {"payment_id": "p" * 36, "flag": "late"},
    "payment_allocations": {"payment_id": "p" * 36, "kind": "principal", "invoice_id": "I1", "amount": 12345},
    "postings": {"payment_id": "p" * 36, "status": "completed"},
    "readings": {"kind": "Z", "z_counter": 1, "phone": "{}", "portal": '{"gross": 12345}'},
    "sync_runs": {"status": "completed", "trigger": "manual"},
    "incidents": {"kind": "chain_fork"},
}
"""One row a table, of what the first migration made; columns that are not named get a value of their type."""


def filled(column: Column[Any]) -> object:
    kinds: dict[type, object] = {Boolean: False, Integer: 1, Date: date(2026, 11, 20), DateTime: datetime(2026, 11, 20, tzinfo=UTC)}
    return next((value for kind, value in kinds.items() if isinstance(column.type, kind)), "x")


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def test_a_database_of_the_first_version_keeps_every_row(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'old.sqlite3'}"
    else:
        server = request.getfixturevalue("postgres_server")
        url = postgres.create_database(server, "portal_old")
        request.addfinalizer(lambda: postgres.drop_database(server, "portal_old"))
    app = create_app(TestConfig(tmp_path, DATABASE_URL=url))
    with app.app_context():
        flask_migrate.upgrade(revision="0001")
        old = MetaData()
        old.reflect(db.engine)
        with db.engine.begin() as connection:
            for name, given in FIRST.items():
                table = old.tables[name]
                row: dict[str, Any] = {column.name: filled(column) for column in table.columns if not column.nullable}
                connection.execute(table.insert().values({**row, **given}))

        def rows() -> dict[str, list[Any]]:
            # What a run under way has read and nobody has seen is not kept: the run is ended.
            tables = [table for table in old.sorted_tables if table.name not in {"alembic_version", "staged_soas"}]
            with db.engine.connect() as connection:
                return {table.name: list(connection.execute(select(table).order_by(*table.primary_key))) for table in tables}

        before = rows()
        assert all(before[name] for name in FIRST)
        flask_migrate.upgrade()
        assert rows() == before
        with db.engine.connect() as connection:
            assert (
                compare_metadata(
                    MigrationContext.configure(connection, opts={"compare_type": True, "include_object": described}), db.metadata
                )
                == []
            )
        db.session.remove()
        db.engine.dispose()


def test_migrations_never_go_back(app: Flask) -> None:
    with pytest.raises(SystemExit), pytest.MonkeyPatch.context() as patch:
        patch.setattr("flask_migrate.log.error", lambda *_: None)
        flask_migrate.downgrade(revision="base")
    assert "payments" in inspect(db.engine).get_table_names()


@pytest.mark.service
def test_two_machines_that_start_at_once_migrate_once(tmp_path: Path, postgres_server: str) -> None:
    url = postgres.create_database(postgres_server, "portal_fresh")
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "DATA_DIR": str(tmp_path),
        "SECRET_KEY": "k" * 40,
        "PSCLOUD_URL": "https://pscloud.test",
    }
    command = [sys.executable, "-m", "flask", "db", "upgrade"]
    starts = [subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [(start.communicate()[1], start.returncode) for start in starts] == [("", 0), ("", 0)]
    postgres.drop_database(postgres_server, "portal_fresh")
