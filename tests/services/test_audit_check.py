"""The audit log's chain is checked little by little, to its end, and what is wrong with it becomes one incident."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import text

from portal.extensions import db
from portal.services import audit_check
from portal.store import audit, audit_checks, incident_list
from portal.store.incident_list import IncidentFilter
from tests.conftest import NOW


def fill(count: int) -> None:
    audit.add_all([audit.Event("nena", "login", "", {"address": str(number)}, NOW) for number in range(count)])
    db.session.commit()


def tamper(statement: str) -> None:
    """Change the log as somebody would who has the database itself."""
    if db.engine.dialect.name == "sqlite":
        for name in db.session.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_log'")).all():
            db.session.execute(text(f"DROP TRIGGER {name}"))
    else:
        db.session.execute(text("ALTER TABLE audit_log DISABLE TRIGGER USER"))
    db.session.execute(text(statement))
    db.session.commit()


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_check, "STEP", 10)


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 25])
def test_a_whole_chain_is_walked_to_its_end_however_long_it_is(any_app: Flask, count: int) -> None:
    fill(count)
    audit_check.request(NOW)
    steps = 0
    while audit_checks.get().begun_at:
        audit_check.step(NOW)
        steps += 1
        assert steps < 5
    state = audit_checks.get()
    assert (state.rows, state.broken_seq, state.checked_at) == (count, None, NOW) and audit.verify() == (count, None)


@pytest.mark.parametrize(
    ("statement", "seq", "problem"),
    [
        ("UPDATE audit_log SET who = 'ada' WHERE seq = 17", 17, "was changed after it was written"),
        ("UPDATE audit_log SET prev = hash WHERE seq = 17", 17, "does not follow the row before it"),
        ("DELETE FROM audit_log WHERE seq = 17", 17, "is missing"),
        ("DELETE FROM audit_log WHERE seq = 10", 10, "is missing"),
        ("DELETE FROM audit_log WHERE seq > 19", 25, "is missing at the end"),
        ("DELETE FROM audit_log", 25, "is missing at the end"),
    ],
)
def test_a_broken_chain_is_named_and_raised_once(any_app: Flask, statement: str, seq: int, problem: str) -> None:
    fill(25)
    tamper(statement)
    for _ in range(2):
        audit_check.request(NOW)
        audit_check.run(NOW)
        state = audit_checks.get()
        assert (state.broken_seq, state.problem, state.begun_at) == (seq, problem, None)
        broken = audit.verify()[1]
        assert broken and (broken.seq, broken.problem) == (seq, problem)
    (incident,) = incident_list.list_page(IncidentFilter(kind="audit_log_broken"))
    assert f"entry {seq} {problem}" in incident.detail and "backups" in incident.detail


def test_what_is_written_during_a_walk_is_no_break(any_app: Flask) -> None:
    fill(25)
    assert not audit_check.request(NOW)
    fill(7)
    audit_check.run(NOW)
    assert (audit_checks.get().rows, audit_checks.get().broken_seq) == (32, None)


def test_the_sweep_begins_a_walk_once_a_day_and_takes_a_step_each_time(any_app: Flask) -> None:
    fill(25)
    for walked in (10, 20):
        audit_check.sweep(NOW)
        assert audit_checks.get().walked == walked
    audit_check.sweep(NOW)
    assert audit_checks.get().checked_at == NOW
    later = NOW + timedelta(hours=23)
    audit_check.sweep(later)
    assert audit_checks.get().checked_at == NOW and audit_checks.get().begun_at is None
    for moment in (NOW + timedelta(days=1), NOW - timedelta(days=1)):  # a clock that was set back must not silence the check
        audit_check.sweep(moment)
        audit_check.run(moment)
        assert audit_checks.get().checked_at == moment


def test_a_tampered_row_that_was_checked_before_is_found_the_next_day(any_app: Flask) -> None:
    fill(25)
    audit_check.request(NOW)
    audit_check.run(NOW)
    tamper("UPDATE audit_log SET detail = '{}' WHERE seq = 3")
    audit_check.sweep(NOW + timedelta(days=1))
    assert audit_checks.get().broken_seq == 3
