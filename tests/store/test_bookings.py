"""What an upload asks of the books does not depend on how many payments the books hold."""

from __future__ import annotations

from dataclasses import replace

from flask import Flask
from sqlalchemy import text

from portal.domain.payments import Payment, read_payment
from portal.extensions import db
from portal.store import bookings
from tests.factories import NOW, make_invoice, make_phone, make_soa, make_user, store_soas
from tests.store.test_plans import statements, walks


def collected(count: int) -> tuple[int, list[Payment]]:
    """A terminal and so many payments it took, none of them booked."""
    make_user("nena", "collector", codes=["A1"])
    soas = [make_soa(f"S{number}", invoices=[make_invoice(1)]) for number in range(count)]
    store_soas(*soas)
    phone = make_phone("nena")
    phone.start()
    for soa in soas:
        phone.pay(soa, 5000)
    found = [read_payment(entry.payload) for entry in phone.entries if entry.kind == "payment"]
    return phone.terminal.id, [replace(one, tender="check", reference=f"REF-{number}") for number, one in enumerate(found)]


def test_facts_are_found_by_indexes_with_as_many_statements_for_many_as_for_one(any_app: Flask) -> None:
    terminal, payments = collected(40)
    if db.engine.dialect.name == "sqlite":  # its planner needs figures to choose; PostgreSQL is told not to walk
        db.session.execute(text("ANALYZE"))
        db.session.commit()
    assert walks(lambda: bookings.facts(terminal, payments, 100, NOW)) == []
    counts = []
    for some in (payments[:1], payments):
        with statements() as seen:
            bookings.facts(terminal, some, 100, NOW)
        counts.append(len(seen))
        db.session.rollback()
    assert counts[0] == counts[1]
