"""The simulator's SQLite file: statements, every published revision of them, and the payments posted.

A published revision is never changed, only superseded. A reader that remembers one revision number therefore
sees the same set of records for as long as it likes, whatever is paid meanwhile: that is what keeps pages stable.
"""

import json
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from demo.pscloud import material, seed
from demo.pscloud.records import Invoice, Soa, as_json, record

FORMAT = "1"
SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE collectors (code TEXT PRIMARY KEY, name TEXT NOT NULL, area TEXT, active INTEGER NOT NULL);
CREATE TABLE soas (
    id TEXT PRIMARY KEY, soa_number TEXT NOT NULL UNIQUE, customer_id TEXT NOT NULL, account_number TEXT NOT NULL, name TEXT NOT NULL,
    address TEXT, contact_number TEXT, tin TEXT, latitude REAL, longitude REAL, issued_on TEXT NOT NULL, due_date TEXT NOT NULL,
    collector_code TEXT, status TEXT NOT NULL CHECK (status IN ('active', 'settled', 'cancelled')),
    credit INTEGER NOT NULL CHECK (credit >= 0), hidden INTEGER NOT NULL, fault TEXT);
CREATE TABLE invoices (
    id TEXT PRIMARY KEY, soa_id TEXT NOT NULL REFERENCES soas (id), position INTEGER NOT NULL, invoice_number TEXT NOT NULL UNIQUE,
    invoice_date TEXT NOT NULL, due_date TEXT NOT NULL, description TEXT NOT NULL, amount INTEGER NOT NULL CHECK (amount > 0),
    balance INTEGER NOT NULL CHECK (balance >= 0), penalty INTEGER NOT NULL CHECK (penalty >= 0), vat_type TEXT NOT NULL,
    vat_amount INTEGER NOT NULL, UNIQUE (soa_id, position));
CREATE TABLE revisions (
    revision INTEGER PRIMARY KEY AUTOINCREMENT, soa_id TEXT NOT NULL REFERENCES soas (id), updated_at INTEGER NOT NULL,
    status TEXT NOT NULL, collector_code TEXT, amount_due INTEGER NOT NULL, penalty INTEGER NOT NULL, invoice_count INTEGER NOT NULL,
    hidden INTEGER NOT NULL, faulty INTEGER NOT NULL, document TEXT NOT NULL, superseded_by INTEGER);
CREATE INDEX revisions_in_order ON revisions (updated_at, soa_id);
CREATE INDEX revisions_of_soa ON revisions (soa_id);
CREATE TABLE payments (
    number INTEGER PRIMARY KEY AUTOINCREMENT, reference TEXT NOT NULL UNIQUE, content TEXT NOT NULL,
    soa_id TEXT NOT NULL REFERENCES soas (id), receipt_number TEXT NOT NULL, amount INTEGER NOT NULL CHECK (amount > 0),
    collected_at INTEGER NOT NULL, allocations TEXT NOT NULL, posted_at INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('accepted', 'voided')), void_reason TEXT, voided_at TEXT, approved_by TEXT);
"""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEFORE_ALL = (-(2**63), "")


class StoreError(RuntimeError):
    """The data file cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Snapshot:
    """A set of records that stays as it is: everything published up to a revision, under one filter."""

    revision: int
    total: int
    as_of: datetime
    status: str | None
    updated_since: int | None


@dataclass(frozen=True)
class Published:
    """One published record: its place in the order of changes and its JSON text."""

    updated_at: int
    soa_id: str
    document: str


@dataclass(frozen=True)
class StoredPayment:
    """A payment that was accepted; amount in centavos, content is what makes a repeat the same."""

    pscloud_id: str
    reference: str
    content: str
    soa_id: str
    receipt_number: str
    amount: int
    collected_at: datetime
    allocations: list[dict[str, Any]]
    status: str
    void_reason: str | None


def micros(moment: datetime) -> int:
    """An instant as whole microseconds since 1970 UTC."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment(value: int) -> datetime:
    """The instant of whole microseconds since 1970 UTC."""
    return EPOCH + timedelta(microseconds=value)


class Store:
    """Opens the data file and seeds it when it is new. Each read or write uses a connection of its own."""

    def __init__(self, path: str | Path, *, seed_number: int, customers: int, faulty_records: bool, today: date) -> None:
        """Raises StoreError when the file exists but is not a data file of this simulator."""
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._prepare(seed_number, customers, faulty_records, today)
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{self.path} cannot be used as the simulator's data file: {error}. Move it away or name another.") from error

    def _prepare(self, seed_number: int, customers: int, faulty_records: bool, today: date) -> None:
        connection = self._connect()
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()
        with self.write() as db:
            tables = {row["name"] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            self.new = not tables
            if self.new:
                for statement in SCHEMA.split(";\n"):
                    db.execute(statement)
                _fill(db, seed_number, customers, faulty_records, today)
            elif "meta" not in tables or meta(db).get("format") != FORMAT:
                raise StoreError(f"{self.path} was not made by this version of the simulator. Move it away or name another file.")
            self.seeded_on = date.fromisoformat(meta(db)["seeded_on"])

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of the file."""
        connection = self._connect()
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.close()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction, alone: committed at the end, or undone when anything is raised."""
        connection = self._connect()
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        finally:
            connection.close()


def _fill(db: sqlite3.Connection, seed_number: int, customers: int, faulty_records: bool, today: date) -> None:
    facts = {
        "format": FORMAT,
        "seed": str(seed_number),
        "customers": str(customers),
        "faulty_records": str(int(faulty_records)),
        "seeded_on": today.isoformat(),
    }
    db.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())
    rotate_cursor_key(db)
    db.executemany("INSERT INTO collectors VALUES (?, ?, ?, ?)", material.COLLECTORS)
    for soa, changed in seed.statements(seed_number, customers, faulty_records, today):
        save(db, soa)
        _publish(db, soa, micros(changed))


def meta(db: sqlite3.Connection) -> dict[str, str]:
    """Facts about the file: format, seed, customers, faulty_records, seeded_on, cursor_key."""
    return {row["key"]: row["value"] for row in db.execute("SELECT key, value FROM meta")}


def cursor_key(db: sqlite3.Connection) -> bytes:
    """The key that signs paging cursors."""
    row = db.execute("SELECT value FROM meta WHERE key = 'cursor_key'").fetchone()
    return bytes.fromhex(row["value"])


def rotate_cursor_key(db: sqlite3.Connection) -> None:
    """From now on no cursor handed out earlier is known any more."""
    db.execute("INSERT INTO meta VALUES ('cursor_key', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (secrets.token_hex(32),))


def collectors(db: sqlite3.Connection) -> list[dict[str, Any]]:
    """All collector codes in order."""
    rows = db.execute("SELECT code, name, area, active FROM collectors ORDER BY code")
    return [{"code": row["code"], "name": row["name"], "area": row["area"], "active": bool(row["active"])} for row in rows]


def load(db: sqlite3.Connection, soa_id: str) -> Soa | None:
    """The statement with its invoices in their order, hidden or not, or None."""
    row = db.execute("SELECT * FROM soas WHERE id = ?", (soa_id,)).fetchone()
    if row is None:
        return None
    values = dict(row)
    values["issued_on"] = date.fromisoformat(values["issued_on"])
    values["due_date"] = date.fromisoformat(values["due_date"])
    values["hidden"] = bool(values["hidden"])
    values["fault"] = json.loads(values["fault"]) if values["fault"] is not None else None
    lines = db.execute("SELECT * FROM invoices WHERE soa_id = ? ORDER BY position", (soa_id,))
    return Soa(**values, invoices=[_invoice(line) for line in lines])


def _invoice(row: sqlite3.Row) -> Invoice:
    values = {key: row[key] for key in row.keys() if key not in ("soa_id", "position")}  # noqa: SIM118 - a Row iterates over its values
    values["invoice_date"] = date.fromisoformat(values["invoice_date"])
    values["due_date"] = date.fromisoformat(values["due_date"])
    return Invoice(**values)


def save(db: sqlite3.Connection, soa: Soa) -> None:
    """Writes the statement and its invoices; publishes nothing."""
    db.execute(
        "INSERT INTO soas VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name,"
        " due_date = excluded.due_date, collector_code = excluded.collector_code, status = excluded.status, credit = excluded.credit,"
        " hidden = excluded.hidden, fault = excluded.fault",
        (
            soa.id, soa.soa_number, soa.customer_id, soa.account_number, soa.name, soa.address, soa.contact_number, soa.tin, soa.latitude,
            soa.longitude, soa.issued_on.isoformat(), soa.due_date.isoformat(), soa.collector_code, soa.status, soa.credit, int(soa.hidden),
            as_json(soa.fault) if soa.fault else None,
        ),
    )  # fmt: skip
    db.executemany(
        "INSERT INTO invoices VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET balance = excluded.balance, penalty = excluded.penalty",
        [
            (
                invoice.id, soa.id, position, invoice.invoice_number, invoice.invoice_date.isoformat(), invoice.due_date.isoformat(),
                invoice.description, invoice.amount, invoice.balance, invoice.penalty, invoice.vat_type, invoice.vat_amount,
            )
            for position, invoice in enumerate(soa.invoices)
        ],
    )  # fmt: skip


def save_and_publish(db: sqlite3.Connection, soa: Soa, now: datetime) -> None:
    """Writes a changed statement and publishes its new revision, later than every change before it."""
    save(db, soa)
    last = db.execute("SELECT max(updated_at) AS last FROM revisions").fetchone()["last"]
    _publish(db, soa, max(micros(now), (last or 0) + 1))


def _publish(db: sqlite3.Connection, soa: Soa, updated_at: int) -> None:
    faulty = bool(soa.fault)
    document = record(soa, moment(updated_at))
    cursor = db.execute(
        "INSERT INTO revisions (soa_id, updated_at, status, collector_code, amount_due, penalty, invoice_count, hidden, faulty, document)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        # A record with a fault counts, but its figures cannot be added up: zero.
        (
            soa.id, updated_at, soa.status, soa.collector_code, 0 if faulty else soa.amount_due, 0 if faulty else soa.penalty,
            len(soa.invoices), int(soa.hidden), int(faulty), as_json(document),
        ),
    )  # fmt: skip
    db.execute(
        "UPDATE revisions SET superseded_by = ? WHERE soa_id = ? AND superseded_by IS NULL AND revision <> ?",
        (cursor.lastrowid, soa.id, cursor.lastrowid),
    )


def take_snapshot(db: sqlite3.Connection, status: str | None, updated_since: int | None, now: datetime) -> Snapshot:
    """Fixes what a paging caller will see. Needs a write transaction: only then is no change under way that `as_of` would miss."""
    row = db.execute("SELECT max(revision) AS revision, max(updated_at) AS last FROM revisions").fetchone()
    as_of = moment(max(micros(now), row["last"] or 0))
    snapshot = Snapshot(row["revision"] or 0, 0, as_of, status, updated_since)
    total = db.execute(
        """
        SELECT count(*) AS total FROM revisions
        WHERE revision <= :revision AND (superseded_by IS NULL OR superseded_by > :revision) AND hidden = 0
        AND (:status IS NULL OR status = :status) AND (:since IS NULL OR updated_at >= :since)
        """,
        _filter(snapshot),
    ).fetchone()["total"]
    return replace(snapshot, total=total)


def page(db: sqlite3.Connection, snapshot: Snapshot, after: tuple[int, str], limit: int, skip: int = 0) -> list[Published]:
    """Up to `limit` records of the snapshot after a place, oldest change first, leaving out the first `skip`."""
    rows = db.execute(
        """
        SELECT updated_at, soa_id, document FROM revisions
        WHERE revision <= :revision AND (superseded_by IS NULL OR superseded_by > :revision) AND hidden = 0
        AND (:status IS NULL OR status = :status) AND (:since IS NULL OR updated_at >= :since)
        AND (updated_at, soa_id) > (:after_at, :after_id)
        ORDER BY updated_at, soa_id LIMIT :limit OFFSET :skip
        """,
        _filter(snapshot) | {"after_at": after[0], "after_id": after[1], "limit": limit, "skip": skip},
    )
    return [Published(row["updated_at"], row["soa_id"], row["document"]) for row in rows]


def page_before(db: sqlite3.Connection, snapshot: Snapshot, upto: tuple[int, str], limit: int) -> list[Published]:
    """The last `limit` records of the snapshot up to and including a place, in the usual order."""
    rows = db.execute(
        """
        SELECT updated_at, soa_id, document FROM revisions
        WHERE revision <= :revision AND (superseded_by IS NULL OR superseded_by > :revision) AND hidden = 0
        AND (:status IS NULL OR status = :status) AND (:since IS NULL OR updated_at >= :since)
        AND (updated_at, soa_id) <= (:upto_at, :upto_id)
        ORDER BY updated_at DESC, soa_id DESC LIMIT :limit
        """,
        _filter(snapshot) | {"upto_at": upto[0], "upto_id": upto[1], "limit": limit},
    ).fetchall()
    return [Published(row["updated_at"], row["soa_id"], row["document"]) for row in reversed(rows)]


def totals_by_collector(db: sqlite3.Connection, snapshot: Snapshot) -> list[sqlite3.Row]:
    """Rows of code, count, amount_due, penalty, invoice_count (centavos) for a snapshot, no code last."""
    return db.execute(
        """
        SELECT collector_code AS code, count(*) AS count, sum(amount_due) AS amount_due, sum(penalty) AS penalty,
        sum(invoice_count) AS invoice_count FROM revisions
        WHERE revision <= :revision AND (superseded_by IS NULL OR superseded_by > :revision) AND hidden = 0
        AND (:status IS NULL OR status = :status) AND (:since IS NULL OR updated_at >= :since)
        GROUP BY collector_code ORDER BY collector_code IS NULL, collector_code
        """,
        _filter(snapshot),
    ).fetchall()


def _filter(snapshot: Snapshot) -> dict[str, Any]:
    return {"revision": snapshot.revision, "status": snapshot.status, "since": snapshot.updated_since}


def published(db: sqlite3.Connection, soa_id: str) -> Published | None:
    """The record of one statement as it stands now, or None when it is unknown or hidden."""
    row = db.execute(
        "SELECT updated_at, soa_id, document FROM revisions WHERE soa_id = ? AND superseded_by IS NULL AND hidden = 0", (soa_id,)
    ).fetchone()
    return Published(row["updated_at"], row["soa_id"], row["document"]) if row is not None else None


def counts(db: sqlite3.Connection) -> dict[str, int]:
    """How many statements by status, wrong on purpose and hidden, and how many payments."""
    row = db.execute(
        "SELECT count(*) FILTER (WHERE NOT hidden) AS soas, count(*) FILTER (WHERE NOT hidden AND status = 'active') AS active,"
        " count(*) FILTER (WHERE NOT hidden AND status = 'settled') AS settled,"
        " count(*) FILTER (WHERE NOT hidden AND status = 'cancelled') AS cancelled,"
        " count(*) FILTER (WHERE NOT hidden AND fault IS NOT NULL) AS faulty, count(*) FILTER (WHERE hidden) AS hidden,"
        " (SELECT count(*) FROM payments) AS payments, (SELECT count(*) FROM payments WHERE status = 'voided') AS voided FROM soas"
    ).fetchone()
    return dict(row)


def faulty_ids(db: sqlite3.Connection) -> list[str]:
    """Ids of the records that are wrong on purpose now."""
    return [row["id"] for row in db.execute("SELECT id FROM soas WHERE fault IS NOT NULL ORDER BY id")]


def add_payment(
    db: sqlite3.Connection, *, reference: str, content: str, soa_id: str, receipt_number: str, amount: int, collected_at: datetime,
    allocations: list[dict[str, Any]], now: datetime,
) -> StoredPayment:  # fmt: skip
    """Stores an accepted payment; a reference that is already there raises sqlite3.IntegrityError."""
    db.execute(
        "INSERT INTO payments (reference, content, soa_id, receipt_number, amount, collected_at, allocations, posted_at, status)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'accepted')",
        (reference, content, soa_id, receipt_number, amount, micros(collected_at), as_json(allocations), micros(now)),
    )
    return _payment(db.execute("SELECT * FROM payments WHERE reference = ?", (reference,)).fetchone())


def payment(db: sqlite3.Connection, reference: str) -> StoredPayment | None:
    """The payment held under a reference, or None."""
    row = db.execute("SELECT * FROM payments WHERE reference = ?", (reference,)).fetchone()
    return _payment(row) if row is not None else None


def payments(db: sqlite3.Connection) -> list[StoredPayment]:
    """All payments in the order they were posted."""
    return [_payment(row) for row in db.execute("SELECT * FROM payments ORDER BY number")]


def payments_page(db: sqlite3.Connection, after: int, since: int | None, limit: int) -> list[StoredPayment]:
    """Up to `limit` payments after a number, collected at or after `since` (microseconds), in the order they were posted."""
    rows = db.execute(
        "SELECT * FROM payments WHERE number > ? AND (? IS NULL OR collected_at >= ?) ORDER BY number LIMIT ?", (after, since, since, limit)
    )
    return [_payment(row) for row in rows]


def forget_payment(db: sqlite3.Connection, reference: str) -> None:
    """The payment vanishes, as after a backup of PSCloud was put back; its balances stay as they are."""
    db.execute("DELETE FROM payments WHERE reference = ?", (reference,))


def change_amount(db: sqlite3.Connection, reference: str, amount: int) -> None:
    """The payment says another amount (centavos), as after a slip of somebody's hand in PSCloud."""
    db.execute("UPDATE payments SET amount = ? WHERE reference = ?", (amount, reference))


def mark_voided(db: sqlite3.Connection, reference: str, reason: str, voided_at: str, approved_by: str) -> None:
    """Marks an accepted payment as voided; its balances are the caller's business."""
    changed = db.execute(
        "UPDATE payments SET status = 'voided', void_reason = ?, voided_at = ?, approved_by = ?"
        " WHERE reference = ? AND status = 'accepted'",
        (reason, voided_at, approved_by, reference),
    ).rowcount
    if changed != 1:
        raise LookupError(f"no accepted payment {reference}")


def _payment(row: sqlite3.Row) -> StoredPayment:
    return StoredPayment(
        pscloud_id=f"PSP{row['number']:08d}",
        reference=row["reference"],
        content=row["content"],
        soa_id=row["soa_id"],
        receipt_number=row["receipt_number"],
        amount=row["amount"],
        collected_at=moment(row["collected_at"]),
        allocations=json.loads(row["allocations"]),
        status=row["status"],
        void_reason=row["void_reason"],
    )
