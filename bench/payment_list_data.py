"""A million payments of invented customers, for the benchmark of their list: set-based, as the quickest way of each database allows."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from sqlalchemy import text

from bench import soa_list_data
from demo.pscloud import material
from portal.extensions import db
from portal.store import payment_totals
from tests import factories

TODAY = date(2026, 11, 20)
COLLECTORS, DAYS = 40, 500
COLUMNS = (
    "id", "terminal_id", "user_id", "registry_id", "journal_seq", "entry_hash", "receipt_number", "claimed_receipt_number", "soa_id",
    "soa_number", "account_number", "customer_name", "collector_code", "amount", "tender", "channel", "reference", "mode", "vatable",
    "vat_amount", "vat_exempt", "zero_rated", "balance_after", "business_date", "collected_at", "received_at", "allocation_generation",
    "status", "status_reason", "status_at", "posted_at",
)  # fmt: skip
TENDERS = ("cash",) * 80 + ("check",) * 10 + ("e_wallet",) * 8 + ("bank_transfer",) * 2
CHANNELS = {"cash": None, "check": "BDO", "e_wallet": "GCash", "bank_transfer": "BPI"}
FLAGS = ("late", "stale_soa", "possible_double", "reallocated")


def rows(count: int, soas: int, flags: list[tuple[str, str, str, str]]) -> Iterator[tuple[Any, ...]]:
    """Payments as rows of the table, of 40 collectors over 500 days; the last day's wait for PSCloud, one in 50 carries a flag."""
    rng = random.Random(11)
    for number in range(count):
        collector = 1 + number % COLLECTORS
        day = TODAY - timedelta(days=DAYS - 1 - number * DAYS // count)
        soa = rng.randrange(soas)
        name = f"{rng.choice(material.SURNAMES)}, {rng.choice(material.WOMEN)} {rng.choice(material.SURNAMES)}"
        tender = TENDERS[rng.randrange(100)]
        payment_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        receipt = f"T{collector:02}-{1 + number // COLLECTORS:08}"
        at = f"{day} {rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}.{number % 1000000:06}"
        amount = rng.randint(200_00, 9_000_00)
        status = "completed" if day < TODAY else rng.choice(("approved", "completed", "completed"))
        if rng.random() < 0.02:
            flags.append((payment_id, rng.choice(FLAGS), "", at))
            if rng.random() < 0.05:
                status = "pending"
        if rng.random() < 0.0005:
            status = "failed"
        yield (
            payment_id, collector, 1 + collector, "r" * 36, number, "h" * 64, receipt, receipt, f"S{soa:07}", f"SOA-{soa:08}",
            f"MP-{2005 + soa % 20}-{soa:07}", name, f"BUL-{collector:02}", amount, tender, CHANNELS[tender],
            None if tender == "cash" else f"{rng.randrange(10**8):08}", "oldest_first", amount * 25 // 28, amount - amount * 25 // 28, 0, 0,
            0, day.isoformat(), at, at, 0, status, "", at, at if status == "completed" else None,
        )  # fmt: skip


def fill(count: int, soas: int) -> None:
    """Store so many SOAs and payments, with the people and phones they came from; commits."""
    factories.make_user("carla", "office")
    for number in range(1, COLLECTORS + 1):
        factories.make_user(f"collector{number:02}", "collector")
    soa_list_data.fill(soas)
    for number in range(1, COLLECTORS + 1):
        factories.make_phone(f"collector{number:02}")
    db.session.commit()
    connection = db.engine.raw_connection()
    cursor = connection.cursor()
    columns, flags = ", ".join(COLUMNS), list[tuple[str, str, str, str]]()
    if db.engine.dialect.name == "sqlite":
        cursor.execute("PRAGMA cache_size = -1000000")
        cursor.execute("PRAGMA synchronous = OFF")
        cursor.execute("BEGIN")
        marks = ", ".join("?" * len(COLUMNS))
        cursor.executemany(f"INSERT INTO payments ({columns}) VALUES ({marks})", rows(count, soas, flags))  # noqa: S608 - our own names
        cursor.executemany("INSERT INTO payment_flags (payment_id, flag, detail, raised_at) VALUES (?, ?, ?, ?)", flags)
    else:
        with cursor.copy(f"COPY payments ({columns}) FROM STDIN") as copy:  # type: ignore[attr-defined]
            for row in rows(count, soas, flags):
                copy.write_row(row)
        with cursor.copy("COPY payment_flags (payment_id, flag, detail, raised_at) FROM STDIN") as copy:  # type: ignore[attr-defined]
            for flag in flags:
                copy.write_row(flag)
    connection.commit()
    connection.close()
    db.engine.dispose()
    payment_totals.rebuild()
    db.session.commit()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as plain:
        plain.execute(text("ANALYZE" if db.engine.dialect.name == "sqlite" else "VACUUM ANALYZE"))
