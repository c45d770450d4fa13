"""A million SOAs of invented customers with their invoices, for the benchmarks of lists."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import text

from demo.pscloud import material
from portal.extensions import db
from portal.store import search, soa_totals
from portal.store.models import CollectorCode, SearchWord
from tests import factories

TODAY = date(2026, 11, 20)
CODES = 60
CHUNK = 20_000
SOA_COLUMNS = (
    "id", "soa_number", "customer_id", "account_number", "customer_name", "search_text", "address", "contact_number", "tin", "issued_on",
    "due_date", "amount_due", "penalty", "collector_code", "status", "closed_on", "updated_at", "version", "changed_run_id",
)  # fmt: skip
INVOICES = """
INSERT INTO invoices (soa_id, id, position, invoice_number, invoice_date, due_date, description, amount, balance, penalty, vat_type,
                      vat_amount)
SELECT id, 'I{number}', {number}, 'SI-' || id || '-{number}', issued_on, due_date, 'Lawn lot instalment', 112000, amount_due / 2, 0,
       'vatable', 12000 FROM soas
"""


def rows(count: int, run_id: int) -> Iterator[tuple[Any, ...]]:
    """SOAs as rows of the table: of 60 collector codes (one in 200 has none), due over two years, a quarter with penalty, a few closed."""
    rng = random.Random(7)
    for number in range(count):
        name = f"{rng.choice(material.SURNAMES)}, {rng.choice(material.WOMEN)} {rng.choice(material.SURNAMES)}"
        account, soa_number = f"MP-{2005 + number % 20}-{number:07}", f"SOA-{number:08}"
        folded = search.fold(f"{name} {account} {soa_number}")
        due = TODAY + timedelta(days=rng.randint(-400, 330))
        code = f"BUL-{rng.randint(1, CODES):02}" if rng.random() >= 0.005 else None
        penalty = rng.randint(1_00, 400_00) if rng.random() < 0.25 else 0
        amount = rng.randint(500_00, 60_000_00) + penalty
        closed = rng.random() < 0.02
        yield (
            f"S{number:07}", soa_number, f"C{number:07}", account, name, folded, "12 Mabini St., Malolos City, Bulacan", "0917 555 0101",
            "", "2026-11-01", due.isoformat(), amount, penalty, code, "closed" if closed else "active", "2026-11-02" if closed else None,
            "2026-11-19 12:00:00", "v", run_id,
        )  # fmt: skip


def fill(count: int) -> None:
    """Store so many SOAs with two invoices each, as the current database's quickest way allows; commits."""
    run_id = factories.store_soas(factories.make_soa("first"))
    db.session.commit()
    connection = db.engine.raw_connection()
    cursor = connection.cursor()
    columns = ", ".join(SOA_COLUMNS)
    if db.engine.dialect.name == "sqlite":
        cursor.execute("PRAGMA cache_size = -1000000")
        cursor.execute("PRAGMA synchronous = OFF")
        cursor.execute("BEGIN")
        marks = ", ".join("?" * len(SOA_COLUMNS))
        cursor.executemany(f"INSERT INTO soas ({columns}) VALUES ({marks})", rows(count, run_id))  # noqa: S608 - our own column names
    else:
        with cursor.copy(f"COPY soas ({columns}) FROM STDIN") as copy:  # type: ignore[attr-defined]
            for row in rows(count, run_id):
                copy.write_row(row)
    cursor.execute("DELETE FROM invoices")
    for number in (1, 2):
        cursor.execute(INVOICES.format(number=number))
    connection.commit()
    connection.close()
    db.engine.dispose()
    today = datetime.now(UTC)
    db.session.add_all(
        CollectorCode(code=f"BUL-{number:02}", name=f"Route {number}", area="Bulacan", active=True, source="pscloud", updated_at=today)
        for number in range(1, CODES + 1)
    )
    search.learn(f"{surname} {given}" for surname in material.SURNAMES for given in material.WOMEN[:1])
    search.learn(material.WOMEN)
    soa_totals.rebuild()
    db.session.commit()
    assert db.session.query(SearchWord).count() > 10
    db.session.commit()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as plain:
        plain.execute(text("ANALYZE" if db.engine.dialect.name == "sqlite" else "VACUUM ANALYZE"))
