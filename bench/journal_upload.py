"""What it takes to receive 1,000 journaled payments: `python -m bench.journal_upload [--database postgresql]`.

Two uploads of 500 entries are verified (hash chain, signature), flagged, allocated, audited and put into the outbox. Beside it, in the same
run and on the same database, the very rows they became are written into bare tables of the same columns: all of a table in one statement
(the floor: no check, no key, no trigger), and object by object through the ORM (the peer). Prints medians and ratios; lower is better."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import flask_migrate
from sqlalchemy import Column, MetaData, Table, delete, func, insert, select
from sqlalchemy.orm import Session, registry

from config import TestConfig
from portal import create_app
from portal.extensions import db
from portal.services import journal
from portal.services.journal import Policy, Uploader
from portal.store.models import Base, Payment
from tests import postgres
from tests.factories import NOW, make_invoice, make_phone, make_soa, make_user, store_soas

PAYMENTS, AT_ONCE, ROUNDS = 1000, 500, 5
TABLES = ("journal_entries", "payments", "payment_allocations", "postings", "audit_log")


def uploads() -> Iterator[tuple[float, float]]:
    """Seconds of a first upload and of the same again, by one more collector each."""
    for turn in range(ROUNDS):
        code = f"A{turn}"
        make_user(f"nena{turn}", "collector", codes=[code])
        soas = [make_soa(f"S{turn}-{n}", collector_code=code, invoices=[make_invoice(1)]) for n in range(PAYMENTS)]
        store_soas(*soas)
        phone = make_phone(f"nena{turn}")
        phone.start()
        for soa in soas:
            phone.pay(soa, 5000)
        bodies = [phone.upload_body(phone.entries[start : start + AT_ONCE]) for start in range(0, len(phone.entries), AT_ONCE)]
        uploader = Uploader(phone.terminal.user_id, f"nena{turn}")
        taken = []
        for expected in ("stored", "repeat"):
            started = time.perf_counter()
            for body in bodies:
                answer = journal.receive(phone.code, body["entries"], body["signature"], uploader, Policy("automatic", 7), NOW)
                assert {verdict["status"] for verdict in answer.verdicts} == {expected}
            taken.append(time.perf_counter() - started)
        yield taken[0], taken[1]
    assert db.session.scalar(select(func.count()).select_from(Payment)) == PAYMENTS * ROUNDS


def bare_tables() -> tuple[list[Table], list[list[dict[str, Any]]]]:
    """Tables of the same columns and nothing else, and the rows of the last collector's upload for each of them."""
    metadata, tables, rows = MetaData(), [], []
    for name in TABLES:
        real = Base.metadata.tables[name]
        key = next(iter(real.primary_key.columns))
        found = db.session.execute(select(real).order_by(*real.primary_key.columns)).mappings().all()
        rows.append([dict(row) for row in found[-PAYMENTS:]])
        tables.append(Table(f"bare_{name}", metadata, *(Column(c.name, c.type, primary_key=c.name == key.name) for c in real.columns)))
    db.session.rollback()
    metadata.create_all(db.engine)
    return tables, rows


def floor(tables: list[Table], rows: list[list[dict[str, Any]]]) -> float:
    """Seconds to write all rows of each table by one statement, committed."""
    started = time.perf_counter()
    with db.engine.begin() as connection:
        for table, values in zip(tables, rows, strict=True):
            connection.execute(insert(table), values)
    return time.perf_counter() - started


def peer(classes: list[type], rows: list[list[dict[str, Any]]]) -> float:
    """Seconds to write them payment by payment through the ORM, as a loop over the entries would, committed at the end."""
    started = time.perf_counter()
    with Session(db.engine) as session:
        for values in zip(*rows, strict=True):
            for one, row in zip(classes, values, strict=True):
                session.add(one(**row))
                session.flush()
        session.commit()
    return time.perf_counter() - started


def measure(database: str) -> None:
    """One database, one table of results."""
    first, again = (statistics.median(taken) for taken in zip(*uploads(), strict=True))
    tables, rows = bare_tables()
    mapper, classes = registry(), []
    for table in tables:
        one = type(table.name, (), {})
        mapper.map_imperatively(one, table)
        classes.append(one)
    floors, peers = [], []
    for _ in range(ROUNDS):
        for taken, work in ((floors, lambda: floor(tables, rows)), (peers, lambda: peer(classes, rows))):
            taken.append(work())
            with db.engine.begin() as connection:
                for table in tables:
                    connection.execute(delete(table))
    bare, orm = statistics.median(floors), statistics.median(peers)
    print(f"{database}: {PAYMENTS:,} payments, medians of {ROUNDS}")
    print(f"  the rows alone, by set (floor)    {bare * 1000:7.0f} ms")
    print(f"  the rows alone, one by one (ORM)  {orm * 1000:7.0f} ms   {orm / bare:6.1f} x the floor")
    print(f"  upload                            {first * 1000:7.0f} ms   {first / bare:6.1f} x the floor, ORM / upload {orm / first:5.1f}")
    print(f"  the same upload again             {again * 1000:7.0f} ms   {again / bare:6.1f} x the floor, ORM / upload {orm / again:5.1f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.journal_upload", description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append", help="only this one; both by default")
    for database in parser.parse_args().database or ["sqlite", "postgresql"]:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            url = f"sqlite:///{folder / 'portal.sqlite3'}"
            if database == "postgresql":
                url = postgres.create_database(stack.enter_context(postgres.running_postgres()), "bench")
            stack.enter_context(create_app(TestConfig(folder, DATABASE_URL=url)).app_context())
            flask_migrate.upgrade()
            measure(database)


if __name__ == "__main__":
    main()
