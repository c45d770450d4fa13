"""F14: the database is backed up under load, lost, and put back from the backup; the phones bring back what it forgot (I8, I9, I29)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.extensions import db
from portal.store.models import Terminal
from tests.faults.conftest import started
from tests.faults.phone import HttpPhone
from tests.faults.stack import RUNNING, Stack, wait_until
from tests.faults.test_uploads import uploading
from tests.postgres import find_programs
from workers.processes import ROOT


@pytest.fixture(params=["sqlite", "postgresql"])
def own_stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Stack]:
    """A portal of this test's own: a restore is remembered for ever."""
    yield from started(request.param, tmp_path_factory, sqlite_template)


def flask(stack: Stack, *arguments: str) -> str:
    """One of the administrator's commands, as a process of its own; what it printed."""
    environment = {**stack.environment, "FLASK_APP": "wsgi", "PATH": f"{find_programs()}{os.pathsep}{stack.environment.get('PATH', '')}"}
    command = [sys.executable, "-m", "flask", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def put_back(stack: Stack, file: Path) -> None:
    """What docs/backup.md says."""
    for name in RUNNING:
        stack.processes[name].kill()
    with stack.app.app_context():
        db.session.remove()
        db.engine.dispose()
    if stack.postgres is None:
        assert "Noted" in flask(stack, "restore", str(file))
    else:
        target = stack.url.replace("postgresql+psycopg://", "postgresql://")
        command = [f"{find_programs()}/pg_restore", "--clean", "--if-exists", "--single-transaction", f"--dbname={target}", str(file)]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        flask(stack, "db", "upgrade")
        assert "Noted" in flask(stack, "restored")
    stack.start()


def come_back(phone: HttpPhone) -> None:
    """What a phone does at its next contact: enrol again under its own code if the portal forgot it, and send everything again."""
    phone.sign_in()
    known = phone.call("GET", f"/api/v1/terminals/{phone.code}")
    forgotten = known.status_code == 404
    if forgotten:
        body = {"name": "Phone", "public_key": phone.jwk(), "terminal": phone.code}
        answer = phone.call("POST", "/api/v1/terminals", body)
        assert (answer.status_code, answer.json().get("terminal")) == (201, phone.code), answer.text
        known = phone.call("GET", f"/api/v1/terminals/{phone.code}")
    assert known.json()["restored_at"] and known.json()["orders"]["upload_now"] is not forgotten
    phone.verdicts.clear()
    phone.upload()
    assert phone.call("GET", f"/api/v1/terminals/{phone.code}").json()["orders"]["upload_now"] is False


@pytest.mark.timeout(300)
def test_f14_a_backup_made_under_load_and_restored_costs_no_payment_and_doubles_none(own_stack: Stack, tmp_path: Path) -> None:
    stack = own_stack
    early = [stack.phone(), stack.phone("tomas")]
    before = [one for phone in early for one in stack.pay(phone, 6)]
    for phone in early:
        phone.at_most = 2
    file = tmp_path / "portal.backup"
    with uploading(*early):
        time.sleep(0.2)
        flask(stack, "backup", str(file))
    assert not list(tmp_path.glob("*.part"))
    late = stack.phone("tomas")  # enrolled after the backup
    after = [one for phone in (*early, late) for one in stack.pay(phone, 4)]
    for phone in (*early, late):
        phone.count()
        phone.z_reading()
        phone.close()
        phone.upload()
    stack.wait_until_posted(before + after)
    stack.compare_books()
    figures = Counter({row.code: int(row.accumulated * 100) for row in stack.rows(Terminal.__table__.select())})
    stack.to_pscloud.requests.clear()

    put_back(stack, file)
    assert stack.statuses(after) == {"missing": len(after)}, "the restore took them away"
    newcomer = stack.phone()  # enrolled before any of the others came back
    assert newcomer.code not in {phone.code for phone in (*early, late)}
    for phone in (late, *early):
        come_back(phone)
    stack.wait_until_posted(before + after)
    stack.compare_books()
    now = Counter({row.code: int(row.accumulated * 100) for row in stack.rows(Terminal.__table__.select())})
    assert {code: now[code] for code in figures} == dict(figures)
    wait_until(lambda: stack.idle("worker posting"), "nothing is being posted")
    assert set(stack.sent_to_pscloud()) == set(), "PSCloud was asked first, and held every one"
    assert "whole" in flask(stack, "audit", "verify")
    fresh = stack.pay(newcomer, 2)
    newcomer.upload()
    stack.wait_until_posted(fresh)
    stack.compare_books()
