"""The schedule: Manila's clock, a missed slot once, a job that fails ends nothing."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from portal import clock, doorbell
from portal.extensions import db
from portal.services import sync
from portal.store import schedule as slots
from portal.store import sync_runs
from workers.processes import ROOT
from workers.schedule import PERIODIC, Periodic, Scheduler, latest_slot

MANILA = ZoneInfo("Asia/Manila")
FIVE = "0 5 * * *"


def at(text: str) -> datetime:
    """A moment on Manila's clocks."""
    return datetime.fromisoformat(text).replace(tzinfo=MANILA).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "slot"),
    [
        ("2026-11-20T05:00:00", "2026-11-20T05:00"),
        ("2026-11-20T04:59:59", "2026-11-19T05:00"),
        ("2026-11-20T23:59:59", "2026-11-20T05:00"),
        ("2026-11-21T00:00:00", "2026-11-20T05:00"),
        ("2026-11-20T05:00:02.5", "2026-11-20T05:00"),
    ],
)
def test_slots_are_on_manila_s_clocks(now: str, slot: str) -> None:
    assert latest_slot(FIVE, at(now), MANILA) == at(slot)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    rings: list[str] = []

    def ring(name: str, *args: object, **options: object) -> bool:
        rings.append(name)
        return True

    monkeypatch.setattr(doorbell, "ring", ring)
    monkeypatch.setattr(doorbell, "is_waiting", lambda *args: False)
    return rings


def test_missed_days_are_caught_up_once_by_one_of_two_schedulers(app: Flask, quiet: list[str]) -> None:
    first, second = Scheduler(app, PERIODIC[:1]), Scheduler(app, PERIODIC[:1])
    first.tick(at("2026-11-16T12:00"))
    assert sync_runs.recent() == [] and slots.last_slot("daily_download") == at("2026-11-16T05:00")
    db.session.rollback()  # a test that still reads would keep the schedulers from writing
    now = at("2026-11-20T05:00:03")
    first.tick(now)
    second.tick(now)
    first.tick(now + timedelta(seconds=3))
    assert [(row.trigger, row.status) for row in sync_runs.recent()] == [("scheduled", "pending")]
    assert quiet == ["download_soas"]


def test_the_sweep_comes_every_fifteen_seconds_even_when_the_clock_is_set_back(app: Flask, quiet: list[str]) -> None:
    done: list[int] = []
    scheduler = Scheduler(app, (Periodic("sweep", lambda: done.append(1), every=15),))
    start = at("2026-11-20T12:00")
    for seconds in (0, 3, 6, 14, 15, 18, 29, 30):
        scheduler.tick(start + timedelta(seconds=seconds))
    assert len(done) == 3
    scheduler.tick(start - timedelta(hours=5))
    assert len(done) == 4


@pytest.mark.parametrize("error", [ValueError("x"), OperationalError("", {}, Exception("gone"))])
def test_a_job_that_fails_does_not_stop_the_others(app: Flask, error: Exception) -> None:
    done: list[int] = []

    def fails() -> None:
        raise error

    Scheduler(app, (Periodic("a", fails, every=1), Periodic("b", lambda: done.append(1), every=1))).tick(at("2026-11-20T12:00"))
    assert done == [1]


def test_a_stalled_run_ends_failed_although_redis_is_away(app: Flask) -> None:
    app.config["REDIS_URL"] = "redis://127.0.0.1:1"
    run_id = sync.request_run("manual", "cora", clock.now() - timedelta(minutes=3))
    Scheduler(app).tick(clock.now())
    row = sync_runs.get(run_id)
    assert row and row.status == "failed" and "Redis" in row.error


def test_the_real_schedule_names_settings_that_exist(app: Flask) -> None:
    assert {one.cron for one in PERIODIC if one.cron} <= set(app.config)
    assert all(bool(one.cron) != bool(one.every) for one in PERIODIC)


def has_looked(database: Path) -> bool:
    with closing(sqlite3.connect(database)) as connection:
        return bool(connection.execute("SELECT count(*) FROM schedule_slots").fetchone()[0])


@pytest.mark.service
def test_the_process_ends_promptly_and_refuses_a_wrong_schedule(tmp_path: Path, sqlite_url: str) -> None:
    base = {**os.environ, "DATA_DIR": str(tmp_path), "DATABASE_URL": sqlite_url, "SECRET_KEY": "k" * 40, "REDIS_URL": "redis://127.0.0.1:1"}
    command = [sys.executable, "-m", "workers.schedule"]
    wrong = subprocess.run(command, cwd=ROOT, env={**base, "SYNC_SCHEDULE": "at five"}, capture_output=True, text=True)
    assert wrong.returncode == 2 and "SYNC_SCHEDULE" in wrong.stderr
    process = subprocess.Popen(command, cwd=ROOT, env=base, stderr=subprocess.DEVNULL)
    try:
        while not has_looked(tmp_path / "portal.sqlite3"):
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(8) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
