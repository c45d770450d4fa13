"""Runs: their list, and moves that only the holder of the lease can make."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError

from portal.extensions import db
from portal.store import schedule, sync_runs

NOW = datetime(2026, 11, 20, 1, 30, tzinfo=UTC)


def test_the_database_itself_refuses_a_second_active_run(any_app: Flask) -> None:
    sync_runs.add("manual", "cora", NOW)
    db.session.commit()
    with pytest.raises(IntegrityError):
        sync_runs.add("manual", "rita", NOW)
    db.session.rollback()
    assert len(sync_runs.recent()) == 1


def test_only_the_lease_s_holder_moves_a_run(any_app: Flask) -> None:
    run_id = sync_runs.add("manual", "cora", NOW)
    assert not sync_runs.keep(run_id, "a", NOW), "it was not claimed yet"
    assert sync_runs.claim(run_id, "a", NOW) and not sync_runs.claim(run_id, "b", NOW)
    assert not sync_runs.keep(run_id, "b", NOW) and not sync_runs.complete(run_id, "b", NOW)
    assert not sync_runs.end(run_id, "failed", NOW, "x", lease="b")
    assert sync_runs.keep(run_id, "a", NOW, pages=3) and sync_runs.complete(run_id, "a", NOW + timedelta(seconds=90))
    assert not sync_runs.keep(run_id, "a", NOW) and not sync_runs.end(run_id, "cancelled", NOW)
    row = sync_runs.get(run_id)
    assert row and (row.status, row.pages, row.duration_seconds, row.active) == ("completed", 3, 90.0, False)


def test_the_history_pages_back_and_filters(any_app: Flask) -> None:
    made = []
    for number in range(6):
        run_id = sync_runs.add("manual", "cora", NOW)
        sync_runs.claim(run_id, "a", NOW)
        if number % 2:
            sync_runs.complete(run_id, "a", NOW)
        else:
            sync_runs.end(run_id, "failed", NOW, "reason")
        made.append(run_id)
    made.reverse()
    assert [row.id for row in sync_runs.recent(limit=4)] == made[:4]
    assert [row.id for row in sync_runs.recent(limit=4, before_id=made[3])] == made[4:]
    assert [row.id for row in sync_runs.recent(status="completed")] == made[::2]
    last = sync_runs.last_completed()
    assert last and last.id == made[0] and sync_runs.active() is None and sync_runs.get(999) is None


def test_of_two_schedulers_that_saw_the_same_slot_one_takes_it(any_app: Flask) -> None:
    slots = [NOW + timedelta(days=day) for day in range(3)]
    assert not schedule.take("daily", slots[0])
    assert schedule.take("daily", slots[2]) and not schedule.take("daily", slots[2]) and not schedule.take("daily", slots[1])
    assert schedule.last_slot("daily") == slots[2] and schedule.last_slot("other") is None
