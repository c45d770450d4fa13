"""Migrations lead to exactly the tables the models name, protect the ledger, and can be run twice and by two at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from sqlalchemy import inspect, text

from portal.extensions import db
from tests import postgres

ROOT = Path(__file__).resolve().parents[1]


def test_the_migrated_database_is_the_one_the_models_describe(any_app: Flask) -> None:
    with db.engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), db.metadata)
    assert found == []


def test_upgrading_again_changes_nothing(any_app: Flask) -> None:
    db.session.execute(text("UPDATE audit_head SET hash = 'kept'"))
    db.session.commit()
    db.session.remove()
    flask_migrate.upgrade()
    assert db.session.execute(text("SELECT hash FROM audit_head")).scalar_one() == "kept"


def test_an_outdated_database_is_named_as_such_and_not_as_busy(app: Flask) -> None:
    assert app.test_client().get("/readyz").get_json()["database"] == "ok"
    db.session.execute(text("UPDATE alembic_version SET version_num = 'before'"))
    db.session.execute(text("ALTER TABLE users RENAME TO people"))
    db.session.commit()
    answer = app.test_client().get("/readyz")
    assert (answer.status_code, answer.get_json()["database"]) == (503, "outdated")
    body = {"username": "nena", "password": "whatever it was"}
    refused = app.test_client().post("/api/v1/session", json=body)
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (503, "outdated")
    assert app.test_cli_runner().invoke(args=["doctor"]).exit_code == 1


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
