"""Payments booked by set end exactly as payments booked one by one, and one that the database refuses does not take the others along."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal.domain.journal import Entry
from portal.extensions import db
from portal.services import journal
from portal.services.journal import Policy, Uploader
from portal.store import audit, bookings
from portal.store.models import Incident, Payment, PaymentAllocation, PaymentFlag, Posting
from tests.factories import NOW, Phone, make_invoice, make_phone, make_soa, make_user, store_soas

WAYS = ("whole", "other content", "same number", "number of another terminal", "gap", "unknown SOA", "old version", "broken", "other code")

TURNS = count()
"""Examples share a database, so each phone has names of its own."""


def send(phone: Phone, entries: list[Entry]) -> list[tuple[str, str]]:
    body = phone.upload_body(entries)
    uploader = Uploader(phone.terminal.user_id, phone.user_name)
    answer = journal.receive(body["terminal"], body["entries"], body["signature"], uploader, Policy("automatic", 7), NOW)
    return [(verdict["status"], str(verdict["reason"])) for verdict in answer.verdicts]


def take(phone: Phone, mark: str, drawn: list[tuple[int, int, str, bool]]) -> None:
    """Take the drawn payments on SOAs of this phone's own."""
    soas = [make_soa(f"{mark}-{n}", collector_code=f"A{mark}", invoices=[make_invoice(1, id=f"{mark}-{n}-1")]) for n in range(3)]
    foreign = make_soa(f"{mark}-f", collector_code="B9", invoices=[make_invoice(1, id=f"{mark}-f-1")])
    store_soas(*soas, foreign)
    elsewhere = {"other code": foreign, "unknown SOA": make_soa(f"{mark}-u", invoices=[make_invoice(1, id=f"{mark}-u-1")])}
    phone.start()
    first: Entry | None = None
    for number, amount, way, by_check in drawn:
        soa, fields = soas[number], dict[str, Any]()
        if by_check:
            fields |= {"tender": "check", "channel": "BDO", "reference": f"{mark}-{number}", "tendered": None, "change": None}
        if way == "gap":
            phone.receipts += 2
        if way == "old version":
            fields["soa_version"] = "0123456789abcdef"
        if way == "broken":
            fields["balance_after"] = -1
        if way == "number of another terminal":
            fields["receipt_number"] = "T99-000001"
        if way in {"other content", "same number"} and first is not None:
            name = "payment" if way == "other content" else "receipt_number"
            fields[name] = first.payload[name]
        entry = phone.pay(elsewhere.get(way, soa), amount, **fields)
        first = first or entry


def outcome(phone: Phone, mark: str) -> list[Any]:
    """All that was booked for a phone, without what names the phone."""

    def plain(row: Any) -> tuple[Any, ...]:
        return tuple(str(value).replace(phone.code, "T").replace(f"{mark}-", "") for value in row)

    own = select(Payment.id).where(Payment.terminal_id == phone.terminal.id)
    place = {payment: str(seq) for payment, seq in db.session.execute(select(Payment.id, Payment.journal_seq).where(Payment.id.in_(own)))}
    payments = select(
        Payment.journal_seq, Payment.receipt_number, Payment.claimed_receipt_number, Payment.soa_id, Payment.amount, Payment.status,
        Payment.allocation_generation, Payment.business_date,
    ).where(Payment.id.in_(own))  # fmt: skip
    part = PaymentAllocation
    parts = select(part.payment_id, part.generation, part.position, part.invoice_id, part.kind, part.amount).where(part.payment_id.in_(own))
    flags = select(PaymentFlag.payment_id, PaymentFlag.flag, PaymentFlag.detail).where(PaymentFlag.payment_id.in_(own))
    postings = select(Posting.payment_id, Posting.status).where(Posting.payment_id.in_(own))
    raised = db.session.execute(select(Incident.kind, Incident.detail).where(Incident.terminal_id == phone.terminal.id))
    found: list[Any] = [sorted(plain(row) for row in db.session.execute(payments)), sorted(plain(row) for row in raised)]
    for query in (parts, flags, postings):
        found.append(sorted((place[row[0]], *plain(row[1:])) for row in db.session.execute(query)))
    return found


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 400_000), st.sampled_from(WAYS), st.booleans()), min_size=1, max_size=8))
def test_booked_by_set_is_booked_one_by_one(any_app: Flask, drawn: list[tuple[int, int, str, bool]]) -> None:
    told, booked = [], []
    for together in (True, False):
        mark = f"m{next(TURNS):05}"
        make_user(f"nena{mark}", "collector", codes=[f"A{mark}"])
        phone = make_phone(f"nena{mark}")
        take(phone, mark, drawn)
        entries = list(phone.entries)
        verdicts = send(phone, entries) if together else [verdict for entry in entries for verdict in send(phone, [entry])]
        told.append([tuple(text.replace(phone.code, "T").replace(f"{mark}-", "") for text in verdict) for verdict in verdicts])
        booked.append(outcome(phone, mark))
    assert told[0] == told[1]
    assert booked[0] == booked[1]
    assert audit.verify()[1] is None


def test_what_the_database_refuses_is_set_aside_alone(any_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    make_user("nena", "collector", codes=["A1"])
    soa = make_soa(amount_due=90_000_00)
    store_soas(soa)
    phone = make_phone("nena")
    phone.start()
    paid = [phone.pay(soa, 100 + number) for number in range(5)]
    really = bookings.write

    def refuse(rows: bookings.Rows) -> None:
        really(rows)
        if any(row["id"] == paid[2].payload["payment"] for row in rows.payments):
            raise IntegrityError("INSERT", {}, Exception("refused"))

    monkeypatch.setattr(bookings, "write", refuse)
    statuses = [status for status, _ in send(phone, phone.entries)]
    assert statuses == ["quarantined" if entry is paid[2] else "stored" for entry in phone.entries]
    booked = set(db.session.execute(select(Payment.id)).scalars())
    assert booked == {entry.payload["payment"] for entry in paid if entry is not paid[2]}
    assert audit.verify()[1] is None
