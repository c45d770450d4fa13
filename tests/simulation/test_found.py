"""What the simulation found in the product, each as a small test of its own that failed before it was mended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from portal.extensions import db
from portal.services import journal
from portal.services.journal import Answer, Policy, Uploader
from portal.store import ledger
from portal.store.models import Payment
from tests.factories import NOW, Phone, make_phone, make_soa, make_user, store_soas

AUTOMATIC = Policy("automatic", 7)


@pytest.fixture
def phone(app: Flask) -> Iterator[Phone]:
    make_user("nena", "collector", codes=["A1"])
    store_soas(make_soa(), now=NOW - timedelta(hours=2))
    phone = make_phone()
    phone.start()
    yield phone


def send(phone: Phone) -> Answer:
    body = phone.upload_body()
    db.session.rollback()
    return journal.receive(
        phone.code, body["entries"], body["signature"], Uploader(phone.terminal.user_id, "nena"), AUTOMATIC, NOW + timedelta(minutes=1)
    )


def test_a_phone_whose_clock_began_anew_in_1970_keeps_its_money_in_the_ledger(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    phone.append("clock_jump", {"seconds": -1_795_000_000})
    monkeypatch.setattr(phone, "at", lambda: "1970-01-01T08:00:30.000+08:00")
    entry = phone.pay(make_soa(), 100)
    assert send(phone).verdicts[-1]["status"] == "stored"
    detail = ledger.get(entry.payload["payment"])
    assert detail and "clock_jump" in detail.row.flags and detail.row.status == "pending"
    assert db.session.execute(select(Payment.amount)).scalar_one() == 1
