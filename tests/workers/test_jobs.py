"""Jobs, called as a worker calls them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask

from portal import clock, doorbell
from portal.extensions import db
from portal.services import pushing, sync
from portal.store import circuits, sync_runs
from portal.store import postings as stored_postings
from tests.pscloud.server import Books, record, scripted
from workers import jobs

NOW = datetime(2026, 11, 20, 1, 30, tzinfo=UTC)


@pytest.fixture
def bell(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    rings: list[str] = []

    def ring(name: str, *args: object, **options: object) -> bool:
        rings.append(name)
        return True

    monkeypatch.setattr(doorbell, "ring", ring)
    monkeypatch.setattr(doorbell, "is_waiting", lambda *args: False)
    return rings


def test_download_job_does_the_run(app: Flask, bell: list[str]) -> None:
    with scripted() as server:
        server.reply = Books([record(1)])
        app.config["PSCLOUD_URL"] = server.url
        run_id = sync.request_run("manual", "cora", NOW)
        jobs.download_soas(run_id)
        row = sync_runs.get(run_id)
        assert row and (row.status, row.succeeded) == ("completed", 1)
        jobs.download_soas(run_id)
        assert len(sync_runs.recent()) == 1


def test_download_job_with_wrong_settings_fails_the_run_in_plain_words(app: Flask, bell: list[str]) -> None:
    app.config["PSCLOUD_URL"] = ""
    run_id = sync.request_run("manual", "cora", NOW)
    jobs.download_soas(run_id)
    row = sync_runs.get(run_id)
    assert row and row.status == "failed" and "PSCLOUD_URL" in row.error


def test_retry_job_asks_again(app: Flask, bell: list[str]) -> None:
    with scripted() as server:
        server.reply = books = Books([record(1, amount_due="x")])
        app.config["PSCLOUD_URL"] = server.url
        run_id = sync.request_run("manual", "cora", NOW)
        jobs.download_soas(run_id)
        books.records[0] = record(1)
        jobs.retry_failed(run_id, "cora")
        row = sync_runs.get(run_id)
        assert row and (row.succeeded, row.failed) == (1, 0)


def test_sweep_rings_for_payments_that_are_due(app: Flask, bell: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    jobs.sweep()
    assert bell == []
    monkeypatch.setattr(stored_postings, "due_count", lambda now: 3)
    jobs.sweep()
    assert bell == ["post_payments"]


def test_posting_job_posts_what_is_due_unless_pscloud_is_known_to_take_nothing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(pushing, "push", lambda client, now: asked.append(client.url))
    jobs.post_payments()
    assert asked == [app.config["PSCLOUD_URL"]]
    circuits.pause(clock.now() + timedelta(minutes=1))
    db.session.commit()
    jobs.post_payments()
    assert len(asked) == 1


def test_a_job_opens_its_own_app_when_it_runs(tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DATA_DIR": str(tmp_path),
        "DATABASE_URL": sqlite_url,
        "SECRET_KEY": "k" * 40,
        "REDIS_URL": "redis://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
    jobs.sweep()


def test_the_app_is_made_once_for_all_jobs_of_a_worker(monkeypatch: pytest.MonkeyPatch, app: Flask) -> None:
    made: list[Flask] = []

    def make(_config: object) -> Flask:
        made.append(app)
        return app

    monkeypatch.setattr("portal.create_app", make)
    monkeypatch.setattr("config.Config", lambda: None)
    monkeypatch.setattr(jobs, "_prepared", [])
    monkeypatch.setattr(jobs, "has_app_context", lambda: False)
    jobs.prepare()
    names = [jobs._in_app(lambda: jobs.current_app.name)() for _ in range(3)]
    assert made == [app] and names == ["portal"] * 3
