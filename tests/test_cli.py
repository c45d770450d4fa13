"""The commands: what scripts and administrators hold on to."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from config import TestConfig
from demo.pscloud.testing import running_pscloud
from portal import create_app
from portal.extensions import db
from portal.store import soas, users
from tests.factories import make_phone, make_soa, make_user, sign_in, store_soas
from tests.services.test_journal import send


@pytest.fixture(scope="module")
def pscloud() -> Iterator[Any]:
    with running_pscloud(customers=30) as server:
        yield server


@pytest.fixture
def portal(app: Flask, pscloud: Any) -> Flask:
    pscloud.reset()
    app.config.update(PSCLOUD_URL=pscloud.url, PSCLOUD_TOKEN=pscloud.token, PSCLOUD_ALLOW_PRIVATE=True)
    return app


def run(app: Flask, *arguments: str, stdin: str = "") -> Any:
    result = app.test_cli_runner().invoke(args=list(arguments), input=stdin)
    db.session.remove()
    return result


def test_a_user_added_with_a_password_from_standard_input_can_log_in(app: Flask) -> None:
    arguments = ("users", "add", "Maria", "--role", "collector", "--role", "office", "--collector-code", "A1", "--password-stdin")
    assert run(app, *arguments, stdin="correct horse battery\n").exit_code == 0
    row = users.by_name("maria")
    assert row and (row.roles, row.codes) == (("collector", "office"), ("A1",))
    sign_in(app, "maria")
    again = run(app, *arguments, stdin="correct horse battery\n")
    assert again.exit_code == 1 and "already a user named maria" in again.stderr
    assert run(app, "users", "disable", "maria").exit_code == 0
    assert users.by_name("maria").active is False  # type: ignore[union-attr]
    assert run(app, "users", "disable", "nobody").exit_code == 1


@pytest.mark.parametrize("password", ["", "short", "password"])
def test_a_weak_password_is_refused_with_a_reason(app: Flask, password: str) -> None:
    result = run(app, "users", "add", "maria", "--role", "office", "--password-stdin", stdin=f"{password}\n")
    assert result.exit_code == 1 and result.stderr.startswith("Error: ") and users.by_name("maria") is None


def test_the_first_admin_is_made_once(app: Flask) -> None:
    app.config.update(ADMIN_USERNAME="boss", ADMIN_PASSWORD="correct horse battery")
    for _ in range(2):
        assert run(app, "users", "first-admin").exit_code == 0
    row = users.by_name("boss")
    assert row and row.roles == ("admin",)


def test_sync_run_prints_its_result_as_the_last_line_of_json(portal: Flask) -> None:
    result = run(portal, "sync", "run", "--wait", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout.splitlines()[-1])
    names = ["id", "status", "total", "succeeded", "failed", "added", "changed", "unchanged", "closed", "amount_due", "error"]
    assert list(answer) == names
    assert (answer["status"], answer["failed"], answer["error"]) == ("completed", 8, None)
    assert answer["total"] == answer["succeeded"] + answer["failed"] and answer["added"] == answer["succeeded"]
    assert json.loads(run(portal, "sync", "status", "--json").stdout.splitlines()[-1]) == answer


def test_a_failed_sync_run_exits_1_and_says_why(portal: Flask, pscloud: Any) -> None:
    pscloud.control(unauthorized=True)
    result = run(portal, "sync", "run", "--wait", "--json")
    answer = json.loads(result.stdout.splitlines()[-1])
    assert result.exit_code == 1 and answer["status"] == "failed" and "token" in answer["error"]


def test_pscloud_check_reads_a_sample(portal: Flask) -> None:
    result = run(portal, "pscloud", "check")
    assert result.exit_code == 0 and "Control totals" in result.stdout and "This profile can be used." in result.stdout, result.output


def test_payments_push_posts_what_is_approved_and_says_how_it_went(portal: Flask) -> None:
    make_user("nena", "collector", codes=["A1"])
    store_soas(make_soa())
    phone = make_phone("nena")
    phone.start()
    phone.pay(make_soa(), 100)
    send(phone)
    result = run(portal, "payments", "push", "--wait")
    assert result.exit_code == 1 and "0 completed, 1 failed" in result.stdout, "PSCloud knows no such SOA"
    assert run(portal, "payments", "push", "--wait").exit_code == 0, "nothing is left to post"


def test_audit_verify_names_the_first_broken_row(app: Flask) -> None:
    for name in ("ana", "ben", "cora"):
        make_user(name, "office")
    assert "3 rows" in run(app, "audit", "verify").stdout
    db.session.execute(text("DROP TRIGGER audit_log_is_written_once"))
    db.session.execute(text("UPDATE audit_log SET subject = 'eve' WHERE seq = 2"))
    db.session.commit()
    result = run(app, "audit", "verify")
    assert result.exit_code == 1 and "row 2 was changed" in result.stderr
    assert run(app, "doctor").exit_code == 1


def test_a_backup_is_whole_private_and_never_written_over_another(app: Flask, tmp_path: Path) -> None:
    make_user("ana", "office")
    file = tmp_path / "copy.sqlite3"
    assert run(app, "backup", str(file)).exit_code == 0
    with sqlite3.connect(file) as copy:
        assert copy.execute("SELECT name FROM users").fetchall() == [("ana",)]
    assert file.stat().st_mode & 0o077 == 0
    assert run(app, "backup", str(file)).exit_code == 1


def test_a_database_without_tables_is_said_in_words(tmp_path: Path) -> None:
    empty = create_app(TestConfig(tmp_path))
    result = empty.test_cli_runner().invoke(args=["users", "disable", "ana"])
    assert result.exit_code == 1 and "flask db upgrade" in result.stderr and "Traceback" not in result.output


def test_a_demo_is_never_put_into_a_real_database(app: Flask) -> None:
    make_user("ana", "admin")
    app.config["DEMO"] = True
    result = run(app, "demo", "seed")
    assert result.exit_code == 1 and "real installation" in result.stderr


# --- reconcile


@pytest.fixture
def faultless(app: Flask) -> Iterator[Any]:
    """A PSCloud whose records can all be read, downloaded by the portal."""
    with running_pscloud(customers=30, faulty_records=False) as server:
        app.config.update(PSCLOUD_URL=server.url, PSCLOUD_TOKEN=server.token, PSCLOUD_ALLOW_PRIVATE=True)
        assert run(app, "sync", "run", "--wait").exit_code == 0
        yield server


def test_reconcile_exits_0_when_the_books_are_equal_and_1_when_they_are_not(app: Flask, faultless: Any) -> None:
    equal = run(app, "reconcile", "--json")
    told = json.loads(equal.stdout.splitlines()[-1])
    assert (equal.exit_code, told["status"], told["equal"], told["differences"], told["error"]) == (0, "completed", True, 0, None)
    assert told["soas"]["amount_due"]["here"] == told["soas"]["amount_due"]["pscloud"] and told["soas"]["equal"] > 0
    assert set(told["payments"]) == {"equal", "waiting", "different", "only_here", "only_pscloud", "unreadable", "listed"}
    changed = faultless.records("active")[0]["id"]
    faultless.change_soa(changed, penalty_add="1.00")
    differs = run(app, "reconcile", "--json", "--payments-from", "2026-11-01")
    told = json.loads(differs.stdout.splitlines()[-1])
    assert (differs.exit_code, told["equal"], told["soas"]["different"], told["payments"]["listed"]) == (1, False, 1, False)
    plain = run(app, "reconcile")
    assert plain.exit_code == 1 and "1 different" in plain.stdout and "1 differ" in plain.stdout


def test_reconcile_says_why_it_failed(app: Flask, faultless: Any) -> None:
    app.config["PSCLOUD_TOKEN"] = "wrong"
    refused = run(app, "reconcile", "--json")
    told = json.loads(refused.stdout.splitlines()[-1])
    assert refused.exit_code == 1 and told["status"] == "failed" and not told["equal"] and "token" in told["error"]
    app.config["PSCLOUD_URL"] = ""
    nowhere = run(app, "reconcile")
    assert nowhere.exit_code == 1 and "PSCLOUD_URL" in nowhere.stderr


def test_the_demo_plants_a_difference_of_each_kind(app: Flask) -> None:
    assert "not a demo" in run(app, "demo", "differences").stderr
    with running_pscloud(customers=60) as server:
        app.config.update(
            DEMO=True,
            PSCLOUD_URL=server.url,
            PSCLOUD_TOKEN=server.token,
            PSCLOUD_ALLOW_PRIVATE=True,
            PSCLOUD_PROFILE=str(Path(__file__).parents[1] / "demo" / "pscloud" / "profile.toml"),
        )
        assert run(app, "sync", "run", "--wait").exit_code == 0
        make_user("nena", "collector", codes=["BUL-01"])
        phone = make_phone("nena")
        phone.start()
        for soa in [one for one in soas.for_codes(["BUL-01"]) if one.amount_due > 100][:4]:
            phone.pay(soa, 5000)
        send(phone)
        assert run(app, "payments", "push", "--wait").exit_code == 0
        assert run(app, "sync", "run", "--wait").exit_code == 0
        planted = run(app, "demo", "differences")
        assert planted.exit_code == 0 and "forgotten by PSCloud" in planted.stdout
        told = json.loads(run(app, "reconcile", "--json").stdout.splitlines()[-1])
    kinds = ("different", "only_here", "only_pscloud")
    assert all(told[record][kind] > 0 for record in ("soas", "payments") for kind in kinds) and told["soas"]["unreadable"] > 0
