"""Whoever changes a payment locks its row first and the end of the audit trail after it: two real connections, on PostgreSQL alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import create_engine, text

from config import TestConfig
from portal import create_app
from portal.extensions import db
from portal.services import journal, payments, rescue
from portal.services.journal import Policy, Uploader
from portal.store import ledger, rebuilt
from tests import postgres
from tests.conftest import opened
from tests.factories import NOW, make_invoice, make_phone, make_soa, make_user, store_soas

MANUAL = Policy("manual", 7)
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.mark.service
@pytest.mark.parametrize("what", ["the entry of a payment that was rebuilt from paper arrives", "a payment is allocated anew"])
def test_the_payment_is_locked_before_the_audit_trail(tmp_path: Path, postgres_server: str, what: str) -> None:
    url = postgres.fresh_database(postgres_server, "portal_test", "template_portal")
    for app in opened(create_app(TestConfig(tmp_path, DATABASE_URL=url))):
        check(app, url, what)


def check(app: Flask, url: str, what: str) -> None:
    make_user("nena", "collector", codes=["A1"])
    make_user("ramon", "supervisor")
    soa = make_soa(invoices=[make_invoice(1), make_invoice(2)])
    store_soas(soa)
    phone = make_phone("nena")
    phone.start()
    paid = phone.pay(soa, 5000)
    number = paid.payload["payment"]
    uploader, body, first = (
        Uploader(phone.terminal.user_id, "nena"),
        phone.upload_body(phone.entries),
        phone.upload_body(phone.entries[:-1]),
    )

    def arrive() -> None:
        journal.receive(phone.code, body["entries"], body["signature"], uploader, MANUAL, NOW)

    def allocate() -> None:
        payments.reallocate(number, "ramon", ["I2"], "The customer asked for it", NOW)

    if what.startswith("a payment"):
        arrive()
        work: Callable[[], None] = allocate
    else:
        journal.receive(phone.code, first["entries"], first["signature"], uploader, MANUAL, NOW)
        rescue.record_paper(phone.receipt_code(paid), "", "", "ramon", MANUAL, NOW)
        work = arrive
    failed: list[Exception] = []

    def run() -> None:
        with app.app_context():
            try:
                work()
            except Exception as error:
                failed.append(error)
            finally:
                db.session.remove()

    db.session.remove()
    engine = create_engine(url)
    with engine.connect() as other, engine.connect().execution_options(isolation_level="AUTOCOMMIT") as watch:
        other.execute(text("SELECT id FROM payments WHERE id = :id FOR UPDATE"), {"id": number}).one()
        thread = threading.Thread(target=run)
        thread.start()
        while thread.is_alive() and not watch.execute(text(WAITS)).scalar_one():
            thread.join(0.02)
        assert thread.is_alive(), f"it did not wait for the payment: {failed}"
        # Whoever holds the payment's row gets the audit trail's end at once: nobody who waits for that row has it.
        other.execute(text("SELECT seq FROM audit_head WHERE id = 1 FOR UPDATE NOWAIT")).one()
        other.rollback()
        thread.join(60)
    engine.dispose()
    assert not thread.is_alive() and not failed
    found, kept = ledger.get(number), rebuilt.row(number)
    assert found is not None and (kept is None or kept.seen_at is not None)
    assert kept is not None or [part.invoice_number for part in found.allocations if part.current] == ["SI-0002"]
