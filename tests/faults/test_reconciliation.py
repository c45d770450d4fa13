"""A comparison whose worker is killed half-way, with real processes: it fails with a reason, and can be begun again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select, update

from portal.services.reconciliation import SILENCE
from portal.store.models import Reconciliation, ReconciliationDifference, ReconciliationStaged
from tests.faults.stack import Stack, wait_until


def report(stack: Stack, number: int) -> Any:
    return stack.rows(select(*Reconciliation.__table__.columns).where(Reconciliation.id == number))[0]


def compare_now(stack: Stack) -> int:
    answer = stack.office.post("/reconciliation")
    assert answer.status_code == 303, answer.text[:300]
    return int(answer.headers["Location"].rsplit("/", 1)[1])


def test_a_worker_killed_in_mid_comparison(stack: Stack) -> None:
    worker = stack.worker_for("exports")
    before = stack.active_soas()
    held = stack.to_pscloud.fault("hold_request", "/api/v1/soas", skip=1)
    number = compare_now(stack)
    wait_until(lambda: report(stack, number).done > 0 and held.applied, "the first page is compared")
    assert stack.office.post("/reconciliation").status_code == 409, "one at a time"
    worker.kill()
    stack.to_pscloud.clear()
    stack.sweep()
    assert report(stack, number).status == "processing", "a silence of a few seconds is no death"
    silent = report(stack, number).heartbeat_at - SILENCE - timedelta(seconds=1)
    stack.change(update(Reconciliation).where(Reconciliation.id == number).values(heartbeat_at=silent))
    stack.sweep()
    dead = report(stack, number)
    assert dead.status == "failed" and "worker stopped" in dead.error and stack.active_soas() == before
    stack.sweep()
    for table in (ReconciliationStaged, ReconciliationDifference):
        assert stack.rows(select(table.report_id).where(table.report_id == number)) == []
    worker.start()
    stack.wait_for_worker("worker exports")
    again = compare_now(stack)
    done = wait_until(lambda: (row := report(stack, again)).status == "completed" and row, "it is compared again", 60)
    assert done.soas_equal > 0 and done.soas_only_here == done.soas_unreadable == 0
