"""What receiving 1,000 journaled payments costs against writing the same rows and nothing else: `python -m bench.journal_upload`.

The floor is one INSERT of many rows into a table of the same columns, without checks, flags, allocation or audit. Two uploads of 500
entries are verified (hash chain, signature), booked in savepoints, flagged, allocated, audited and put into the outbox. Prints seconds
and the ratio; lower is better."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import flask_migrate
from sqlalchemy import Column, MetaData, Table, func, insert, select

from config import TestConfig
from portal import create_app
from portal.extensions import db
from portal.services import journal
from portal.services.journal import Policy, Uploader
from portal.store.models import Base, Payment
from tests.factories import NOW, make_invoice, make_phone, make_soa, make_user, store_soas

PAYMENTS = 1000


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as directory, create_app(TestConfig(Path(directory))).app_context():
        flask_migrate.upgrade()
        make_user("nena", "collector", codes=["A1"])
        soas = [make_soa(f"S{n}", invoices=[make_invoice(1)]) for n in range(PAYMENTS)]
        store_soas(*soas)
        phone = make_phone("nena")
        phone.start()
        for soa in soas:
            phone.pay(soa, 5000)
        bodies = [phone.upload_body(phone.entries[start : start + 500]) for start in range(0, len(phone.entries), 500)]
        uploader = Uploader(phone.terminal.user_id, "nena")

        def upload(expected: str) -> float:
            started = time.perf_counter()
            for body in bodies:
                answer = journal.receive(phone.code, body["entries"], body["signature"], uploader, Policy("automatic", 7), NOW)
                assert {verdict["status"] for verdict in answer.verdicts} == {expected}
            return time.perf_counter() - started

        first, again = upload("stored"), upload("repeat")
        table = Base.metadata.tables["payments"]
        rows = [dict(row) for row in db.session.execute(select(table)).mappings()]
        assert len(rows) == PAYMENTS
        db.session.rollback()
        copy = Table("floor", MetaData(), *(Column(column.name, column.type) for column in table.columns))
        with db.engine.begin() as connection:
            copy.create(connection)
        started = time.perf_counter()
        with db.engine.begin() as connection:
            connection.execute(insert(copy), rows)
        floor = time.perf_counter() - started
        print(f"upload of {PAYMENTS:,} payments  {first:6.2f} s   {first / floor:6.1f} x the floor of {floor * 1000:.0f} ms")
        print(f"the same upload again     {again:6.2f} s   {again / first:6.3f} x the first")
        assert db.session.scalar(select(func.count()).select_from(Payment)) == PAYMENTS


if __name__ == "__main__":
    main()
