"""What it takes to receive 1,000 journaled payments: `python -m bench.journal_upload [--database postgresql]`.

Two uploads of 500 entries are verified (hash chain, signature), flagged, allocated, audited and put into the outbox. Beside it, in the same
run and on the same database:

- the rows alone, by set (the floor): the very rows they became, written into bare tables of the same columns, all of a table in one
  statement; no check, no key, no trigger
- the rows alone, one by one: the same rows into the same bare tables, object by object through the ORM
- entry by entry (the peer): the same uploads received as a plain service would. The signature is checked once an upload; then for each
  entry a savepoint, in which objects of the real tables, with their keys and triggers, are looked up, made and flushed: is the place in
  the journal known, do hash and chain fit, is the payment known, its registry, its SOA with the invoices, is the receipt number free, is
  the reference; then journal entry, payment, allocations, outbox, audit row. It keeps no totals, raises no flags, allocates nothing anew
  and books no checks, all of which ours does.

Prints medians and ratios; lower is better. The collector of cycles is set as in a web process (gunicorn.conf.py)."""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
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
from portal.domain.journal import Entry, intact, signed_text
from portal.domain.money import from_centavos
from portal.domain.payments import read_instant, read_payment
from portal.extensions import db
from portal.services import journal, terminals
from portal.services.journal import Policy, Uploader
from portal.store.models import (
    AuditEntry,
    AuditHead,
    Base,
    Invoice,
    JournalEntry,
    JournalUpload,
    Payment,
    PaymentAllocation,
    Posting,
    Registry,
    Soa,
    Terminal,
    User,
)
from tests import postgres
from tests.factories import NOW, Phone, make_invoice, make_phone, make_soa, make_user, raw, store_soas

PAYMENTS, AT_ONCE, ROUNDS, PEER_ROUNDS = 1000, 500, 5, 3
TABLES = ("journal_entries", "payments", "payment_allocations", "postings", "audit_log")


def bodies_of(name: str, code: str) -> tuple[Phone, list[dict[str, Any]]]:
    """A collector with a phone, and the uploads of its payments."""
    make_user(name, "collector", codes=[code])
    soas = [make_soa(f"S{code}-{n}", collector_code=code, invoices=[make_invoice(1)]) for n in range(PAYMENTS)]
    store_soas(*soas)
    phone = make_phone(name)
    phone.start()
    for soa in soas:
        phone.pay(soa, 5000)
    return phone, [phone.upload_body(phone.entries[start : start + AT_ONCE]) for start in range(0, len(phone.entries), AT_ONCE)]


def uploads() -> Iterator[tuple[float, float]]:
    """Seconds of a first upload and of the same again, by one more collector each."""
    for turn in range(ROUNDS):
        phone, bodies = bodies_of(f"nena{turn}", f"A{turn}")
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


def entry_by_entry() -> Iterator[float]:
    """Seconds of uploads that are received entry by entry through the ORM."""
    for turn in range(PEER_ROUNDS):
        phone, bodies = bodies_of(f"peer{turn}", f"P{turn}")
        start = phone.entries.index(next(entry for entry in phone.entries if entry.kind == "payment"))
        head = journal.read_entries([raw(entry) for entry in phone.entries[:start]], phone.code)
        uploader = Uploader(phone.terminal.user_id, f"peer{turn}")
        journal.receive(phone.code, [raw(entry) for entry in head], phone.sign(head), uploader, Policy("automatic", 7), NOW)
        started = time.perf_counter()
        for body in bodies:
            receive_plainly(phone, body)
        yield time.perf_counter() - started
    counted = select(func.count()).select_from(Payment).join(Terminal, Terminal.id == Payment.terminal_id)
    assert db.session.scalar(counted.join(User, User.id == Terminal.user_id).where(User.name.like("peer%"))) == PAYMENTS * PEER_ROUNDS


def receive_plainly(phone: Phone, body: dict[str, Any]) -> None:
    """One upload; commits."""
    with Session(db.engine) as session:
        terminal = session.execute(select(Terminal).where(Terminal.code == phone.code).with_for_update()).scalar_one()
        last = body["entries"][-1]
        assert terminals.signature_fits(terminal.public_key, signed_text(phone.code, last["seq"], last["hash"]), body["signature"])
        upload = JournalUpload(
            terminal_id=terminal.id, user_id=terminal.user_id, received_at=NOW, entries=len(body["entries"]), last_seq=last["seq"],
            last_hash=last["hash"], signature=body["signature"],
        )  # fmt: skip
        session.add(upload)
        session.flush()
        for entry in journal.read_entries(body["entries"], phone.code):
            with session.begin_nested():
                take_plainly(session, terminal, upload.id, entry)
        session.commit()


def take_plainly(session: Session, terminal: Terminal, upload_id: int, entry: Entry) -> None:
    """One entry: looked up, verified, booked, flushed."""
    of_place = select(JournalEntry).where(JournalEntry.terminal_id == terminal.id, JournalEntry.seq == entry.seq)
    known = session.execute(of_place).scalar_one_or_none()
    if known is not None:
        assert known.hash == entry.hash
        return
    assert entry.seq == terminal.head_seq + 1 and entry.prev == terminal.head_hash and intact(entry)
    payment = read_payment(entry.payload)
    session.add(
        JournalEntry(
            terminal_id=terminal.id, seq=entry.seq, kind=entry.kind, at=entry.at, at_trusted=entry.at_trusted,
            payload=json.dumps(entry.payload, sort_keys=True), prev=entry.prev, hash=entry.hash, verdict="stored", reason="",
            registry_id=payment.registry, upload_id=upload_id, received_at=NOW,
        )
    )  # fmt: skip
    session.flush()
    assert session.get(Payment, payment.id) is None
    registry = session.get(Registry, payment.registry)
    assert registry is not None and registry.closed_seq is None
    soa = session.get(Soa, payment.soa)
    assert soa is not None
    invoices = session.execute(select(Invoice).where(Invoice.soa_id == soa.id)).scalars().all()
    assert {part.invoice for part in payment.allocations} <= {invoice.id for invoice in invoices}
    taken = session.execute(select(Payment.id).where(Payment.receipt_number == payment.receipt_number)).first()
    used = session.execute(select(Payment.id).where(func.lower(Payment.reference) == (payment.reference or "").lower())).first()
    assert taken is None and used is None
    figures = {name: from_centavos(getattr(payment.vat, name)) for name in ("vatable", "vat_amount", "vat_exempt", "zero_rated")}
    session.add(
        Payment(
            id=payment.id, terminal_id=terminal.id, user_id=terminal.user_id, registry_id=payment.registry, journal_seq=entry.seq,
            entry_hash=entry.hash, receipt_number=payment.receipt_number, claimed_receipt_number=payment.receipt_number,
            soa_id=payment.soa, soa_number=payment.soa_number, account_number=payment.account_number,
            customer_name=payment.customer_name, collector_code=soa.collector_code or "", amount=from_centavos(payment.amount),
            tender=payment.tender, channel=payment.channel, reference=payment.reference, mode=payment.mode,
            tendered=None if payment.tendered is None else from_centavos(payment.tendered), **figures,
            change=None if payment.change is None else from_centavos(payment.change),
            balance_after=from_centavos(payment.balance_after), business_date=registry.business_date,
            collected_at=read_instant(entry.at), received_at=NOW, allocation_generation=0, status="approved", status_at=NOW,
        )
    )  # fmt: skip
    session.flush()
    for place, part in enumerate(payment.allocations):
        session.add(
            PaymentAllocation(
                payment_id=payment.id, generation=0, position=place, soa_id=payment.soa, invoice_id=part.invoice,
                invoice_number=part.invoice_number, kind=part.kind, amount=from_centavos(part.amount),
            )
        )  # fmt: skip
    session.add(Posting(payment_id=payment.id, status="due", next_attempt_at=NOW, created_at=NOW, outcome_unknown=False))
    head = session.execute(select(AuditHead).where(AuditHead.id == 1).with_for_update()).scalar_one()
    detail = json.dumps({"receipt_number": payment.receipt_number, "amount": payment.amount, "soa": payment.soa, "seq": entry.seq})
    told = json.dumps([head.seq + 1, NOW.isoformat(), terminal.code, "payment_booked", payment.id, detail, head.hash])
    hashed = hashlib.sha256(told.encode()).hexdigest()
    session.add(
        AuditEntry(
            seq=head.seq + 1, at=NOW, who=terminal.code, action="payment_booked", subject=payment.id, detail=detail, prev=head.hash,
            hash=hashed,
        )
    )  # fmt: skip
    head.seq, head.hash = head.seq + 1, hashed
    terminal.head_seq, terminal.head_hash = entry.seq, entry.hash
    session.flush()


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


def rows_one_by_one(classes: list[type], rows: list[list[dict[str, Any]]]) -> float:
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
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    first, again = (statistics.median(taken) for taken in zip(*uploads(), strict=True))
    plain = statistics.median(entry_by_entry())
    tables, rows = bare_tables()
    mapper, classes = registry(), []
    for table in tables:
        one = type(table.name, (), {})
        mapper.map_imperatively(one, table)
        classes.append(one)
    floors, peers = [], []
    for _ in range(ROUNDS):
        for taken, work in ((floors, lambda: floor(tables, rows)), (peers, lambda: rows_one_by_one(classes, rows))):
            taken.append(work())
            with db.engine.begin() as connection:
                for table in tables:
                    connection.execute(delete(table))
    bare, orm = statistics.median(floors), statistics.median(peers)
    print(f"{database}: {PAYMENTS:,} payments, medians of {ROUNDS}, entry by entry of {PEER_ROUNDS}")
    lines = [("the rows alone, by set (floor)", bare), ("the rows alone, one by one (ORM)", orm), ("entry by entry (ORM)", plain)]
    for words, seconds in (*lines, ("upload", first), ("the same upload again", again)):
        ratios = (
            f"{seconds / bare:6.1f} x the floor, rows one by one / this {orm / seconds:5.1f}, entry by entry / this {plain / seconds:5.1f}"
        )
        print(f"  {words:33} {seconds * 1000:7.0f} ms {ratios}")


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
