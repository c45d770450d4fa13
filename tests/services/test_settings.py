"""Settings: the environment until somebody chooses, then the choice, at once and everywhere; no change is lost or goes unnoted."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from config import TestConfig
from portal import create_app
from portal.domain.errors import Conflict, NotFound
from portal.domain.settings import Value
from portal.extensions import db
from portal.services import settings
from portal.store import audit
from portal.store import settings as store
from tests.conftest import NOW

RULES: dict[str, Value] = {"payment_approval": "manual", "stale_soa_days": 3, "terminal_approval": "manual", "sync_drop_percent": 50}


def test_the_environment_counts_until_something_is_chosen(tmp_path: Path, sqlite_url: str) -> None:
    config = TestConfig(tmp_path, DATABASE_URL=sqlite_url, STALE_SOA_DAYS="9", PAYMENT_APPROVAL="manual", BUSINESS_NAME="Hardin")
    with create_app(config).app_context():
        before = settings.current()
        assert (before.stale_soa_days, before.payment_approval, before.organisation["business_name"]) == (9, "manual", "Hardin")
        settings.change("rules", {**RULES, "payment_approval": "manual", "stale_soa_days": 4}, 0, "ada", NOW)
        after = settings.current()
        assert (after.stale_soa_days, after.payment_approval, after.sync_drop_percent) == (4, "manual", 50)
        assert set(store.all_rows()) == {"stale_soa_days", "terminal_approval", "sync_drop_percent"}  # what stayed as it was still follows
        db.session.remove()
        db.engine.dispose()


def test_a_change_is_noted_with_old_and_new_and_one_that_changes_nothing_is_not(any_app: Flask) -> None:
    assert settings.change("rules", RULES, 0, "ada", NOW) == list(RULES)
    assert settings.change("rules", RULES, 1, "ada", NOW) == []
    rows = db.session.execute(text("SELECT who, subject, detail FROM audit_log WHERE action = 'settings_changed'")).all()
    assert [(row.who, row.subject) for row in rows] == [("ada", "Rules")]
    detail = json.loads(rows[0].detail)
    assert detail["before"]["stale_soa_days"] == 7 and detail["after"]["stale_soa_days"] == 3 and audit.verify()[1] is None


def test_of_two_who_opened_the_page_at_once_one_is_told(any_app: Flask) -> None:
    settings.change("rules", RULES, 0, "ada", NOW)
    with pytest.raises(Conflict, match="Somebody changed these settings"):
        settings.change("rules", {**RULES, "stale_soa_days": 30}, 0, "ben", NOW)
    assert settings.current().stale_soa_days == 3
    reasons: dict[str, Value] = {"void_reasons": ["Typing error"], "no_collection_reasons": ["Nobody there"], "expense_kinds": ["Fuel"]}
    assert settings.change("reasons", reasons, 0, "ben", NOW) == [
        "void_reasons",
        "no_collection_reasons",
        "expense_kinds",
    ]  # another group is not in the way
    settings.change("rules", {**RULES, "stale_soa_days": 30}, 1, "ben", NOW)
    assert store.all_rows()["stale_soa_days"].version == 3 and store.all_rows()["sync_drop_percent"].version == 1
    with pytest.raises(NotFound):
        settings.change("nothing", {}, 0, "ada", NOW)


def test_of_two_changes_at_the_same_moment_one_wins_and_one_is_told(any_app: Flask) -> None:
    outcomes: list[str] = []
    ready = threading.Barrier(2)

    def save(days: int) -> None:
        with any_app.app_context():
            ready.wait()
            try:
                settings.change("rules", {**RULES, "stale_soa_days": days}, 0, f"user {days}", NOW)
                outcomes.append(f"saved {days}")
            except Conflict:
                outcomes.append("told")
            finally:
                db.session.remove()

    threads = [threading.Thread(target=save, args=(days,)) for days in (11, 12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.session.rollback()
    assert "told" in outcomes and f"saved {settings.current().stale_soa_days}" in outcomes


def test_another_process_sees_a_change_at_once_where_it_counts_and_within_a_second_in_titles(
    any_app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = create_app(TestConfig(tmp_path, DATABASE_URL=any_app.config["SQLALCHEMY_DATABASE_URI"]))
    with other.app_context():
        assert settings.current().stale_soa_days == 7 and settings.recent().stale_soa_days == 7
        db.session.remove()
    settings.change("rules", RULES, 0, "ada", NOW)
    assert settings.recent().stale_soa_days == 3
    with other.app_context():
        assert settings.current().stale_soa_days == 3
        monkeypatch.setattr(settings, "FRESH", 0.0)
        assert settings.recent().stale_soa_days == 3
        db.session.remove()
        db.engine.dispose()


def test_titles_cost_one_query_a_second_begin_no_transaction_and_survive_a_database_without_the_table(any_app: Flask) -> None:
    db.session.rollback()
    settings.recent()
    assert not db.session().in_transaction()
    db.session.execute(text("ALTER TABLE settings RENAME TO elsewhere"))
    db.session.commit()
    assert settings.recent().stale_soa_days == 7  # read a moment ago
    any_app.extensions.pop(settings.KEPT)
    assert settings.recent().stale_soa_days == 7
    db.session.execute(text("ALTER TABLE elsewhere RENAME TO settings"))
    db.session.commit()


def test_a_value_that_a_later_version_wrote_is_left_out(any_app: Flask) -> None:
    store.put("stale_soa_days", "a while", 1, "ada", NOW)
    store.put("from_the_future", [1], 1, "ada", NOW)
    db.session.commit()
    assert settings.current().stale_soa_days == 7 and "from_the_future" not in settings.current().values


def test_nothing_reads_the_environment_past_the_settings() -> None:
    """Who did would go on by the old rule after somebody chose another."""
    chosen = ("PAYMENT_APPROVAL", "TERMINAL_APPROVAL", "STALE_SOA_DAYS", "SYNC_DROP_PERCENT", '"ORGANISATION"]')
    root = Path(__file__).parents[2]
    files = [*(root / "portal").rglob("*.py"), *(root / "workers").rglob("*.py")]
    readers = {
        file.name for file in files if any(f'config["{name}' in file.read_text() or f"config[{name}" in file.read_text() for name in chosen)
    }
    assert readers == {"settings.py"} and len(files) > 100
