"""Reports of reconciliation: their moves, what they have read so far, and the differences they found. Never commits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, delete, exists, func, insert, select, tuple_, update

from portal.domain.money import ZERO
from portal.domain.reconciliation import DIFFERENCES, Booked, Differing
from portal.extensions import db
from portal.store import search, staging
from portal.store.models import Payment, Reconciliation, ReconciliationDifference, ReconciliationStaged, Soa, Void

ACTIVE = ("pending", "processing")
BATCH = 500
SOA_KINDS = ("equal", "different", "only_here", "only_pscloud", "unreadable")
PAYMENT_KINDS = ("equal", "waiting", "different", "only_here", "only_pscloud", "unreadable")
_COLUMNS = (
    "id", "started_by", "payments_from", "status", "lease", "requested_at", "started_at", "finished_at", "phase", "done", "expected",
    "as_of", *(f"soas_{kind}" for kind in SOA_KINDS), *(f"payments_{kind}" for kind in PAYMENT_KINDS),
    "payments_listed", "here_count", "here_amount", "pscloud_count", "pscloud_amount", "error", "note",
)  # fmt: skip


_PLAIN = ("id", "record", "kind", "reason", "record_id", "number", "account_number", "customer_name", "amount_here", "amount_pscloud")
_DIFFERENCE: tuple[Any, ...] = tuple(getattr(ReconciliationDifference, name) for name in (*_PLAIN, "fields", "detail", "raw"))


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One comparison. `done` of `expected` records of its `phase` are read; amounts are pesos due on open SOAs, moments in UTC;
    `payments_listed` says that PSCloud's own list of payments was read too; `fields` counts what differs by its group."""

    id: int
    started_by: str
    payments_from: date | None
    status: str
    lease: str | None
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    phase: str
    done: int
    expected: int | None
    as_of: datetime | None
    soas_equal: int
    soas_different: int
    soas_only_here: int
    soas_only_pscloud: int
    soas_unreadable: int
    payments_equal: int
    payments_waiting: int
    payments_different: int
    payments_only_here: int
    payments_only_pscloud: int
    payments_unreadable: int
    payments_listed: bool
    here_count: int | None
    here_amount: Decimal | None
    pscloud_count: int | None
    pscloud_amount: Decimal | None
    error: str
    note: str
    fields: dict[str, int]

    @property
    def active(self) -> bool:
        """Whether it is waiting or under way."""
        return self.status in ACTIVE

    def counts(self, record: str) -> dict[str, int]:
        """How many of `soa` or `payment` were of each kind."""
        kinds, name = (SOA_KINDS, "soas") if record == "soa" else (PAYMENT_KINDS, "payments")
        return {kind: getattr(self, f"{name}_{kind}") for kind in kinds}

    @property
    def differences(self) -> int:
        """How many records keep the two from being equal."""
        return sum(self.counts(record)[kind] for record in ("soa", "payment") for kind in DIFFERENCES)

    @property
    def equal(self) -> bool:
        """Completed, and nothing differs."""
        return self.status == "completed" and not self.differences


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """One record that is not equal on both sides; `number` is an SOA number or a receipt number, amounts in pesos."""

    id: int
    record: str
    kind: str
    reason: str
    record_id: str
    number: str
    account_number: str
    customer_name: str
    amount_here: Decimal | None
    amount_pscloud: Decimal | None
    fields: tuple[Differing, ...]
    detail: str
    raw: str


@dataclass(frozen=True, slots=True)
class NewDifference:
    """A difference to be kept."""

    record: str
    kind: str
    reason: str
    record_id: str
    number: str = ""
    account_number: str = ""
    customer_name: str = ""
    amount_here: Decimal | None = None
    amount_pscloud: Decimal | None = None
    fields: tuple[Differing, ...] = ()
    detail: str = ""
    raw: str = ""


@dataclass(frozen=True, slots=True)
class DifferenceFilter:
    """What the list of one report's differences shows; empty = all. `field` is a key of domain.reconciliation.FIELDS."""

    report_id: int
    record: str = ""
    kind: str = ""
    field: str = ""
    q: str = ""


@dataclass(frozen=True, slots=True)
class DifferencePage:
    """One page and the marks of its neighbours; None where there is no neighbour."""

    rows: list[DifferenceRow]
    next: str | None
    previous: str | None


# --- reports


def _query() -> Select[Any]:
    return select(*(getattr(Reconciliation, name) for name in _COLUMNS), Reconciliation.fields)


def _read(row: Any) -> ReportRow:
    values: dict[str, Any] = dict(zip(_COLUMNS, row[:-1], strict=True))
    return ReportRow(**values, fields=json.loads(row[-1]))


def get(report_id: int) -> ReportRow | None:
    """One report, or None."""
    row = db.session.execute(_query().where(Reconciliation.id == report_id)).one_or_none()
    return None if row is None else _read(row)


def active() -> ReportRow | None:
    """The one that is waiting or under way, or None."""
    row = db.session.execute(_query().where(Reconciliation.active_slot == 1)).one_or_none()
    return None if row is None else _read(row)


def recent(limit: int = 20, before_id: int | None = None) -> list[ReportRow]:
    """Reports, the newest first."""
    query = _query().order_by(Reconciliation.id.desc()).limit(limit)
    return [_read(row) for row in db.session.execute(query if before_id is None else query.where(Reconciliation.id < before_id))]


def last_completed() -> ReportRow | None:
    """The latest finished report, or None."""
    row = db.session.execute(_query().where(Reconciliation.status == "completed").order_by(Reconciliation.id.desc()).limit(1)).one_or_none()
    return None if row is None else _read(row)


def add(who: str, payments_from: date | None, now: datetime) -> int:
    """A new report, Pending. Raises sqlalchemy.exc.IntegrityError while another one is active."""
    report = Reconciliation(
        started_by=who, payments_from=payments_from, status="pending", active_slot=1, heartbeat_at=now, requested_at=now
    )
    db.session.add(report)
    db.session.flush()
    return report.id


def claim(report_id: int, lease: str, now: datetime) -> bool:
    """Pending to Processing under this lease; False when another worker was faster or it has ended."""
    return _move(report_id, ("pending",), None, status="processing", lease=lease, started_at=now, heartbeat_at=now)


def keep(report_id: int, lease: str, now: datetime, **values: Any) -> bool:
    """Show life and write progress; False when it was cancelled or given up."""
    return _move(report_id, ("processing",), lease, heartbeat_at=now, **values)


def complete(report_id: int, lease: str, now: datetime, fields: Mapping[str, int], **values: Any) -> bool:
    """Processing to Completed under this lease, with its figures; False when it was cancelled or given up."""
    ended = {"status": "completed", "active_slot": None, "lease": None, "finished_at": now, "fields": json.dumps(dict(fields))}
    return _move(report_id, ("processing",), lease, **ended, **values)


def end(report_id: int, status: str, now: datetime, error: str, lease: str | None = None) -> bool:
    """A waiting or running one ends Failed or Cancelled; with `lease`, only if that lease still holds it."""
    return _move(report_id, ACTIVE, lease, status=status, active_slot=None, lease=None, finished_at=now, error=error)


def waiting() -> list[ReportRow]:
    """Those that no worker has taken yet."""
    return [_read(row) for row in db.session.execute(_query().where(Reconciliation.status == "pending"))]


def silent_since(moment: datetime) -> list[int]:
    """Ids of those under way that have not shown life since `moment`."""
    query = select(Reconciliation.id).where(Reconciliation.status == "processing", Reconciliation.heartbeat_at < moment)
    return list(db.session.scalars(query))


def _move(report_id: int, held: tuple[str, ...], holder: str | None, **values: Any) -> bool:
    query = update(Reconciliation).where(Reconciliation.id == report_id, Reconciliation.status.in_(held))
    if holder is not None:
        query = query.where(Reconciliation.lease == holder)
    done = db.session.execute(query.values(**values), execution_options={"synchronize_session": False})
    return int(done.rowcount) == 1  # type: ignore[attr-defined]


def says(report_id: int, record: str, record_id: str, reason: str) -> bool:
    """Whether a report holds this case for this record."""
    of_it = (ReconciliationDifference.report_id == report_id, ReconciliationDifference.record == record)
    query = select(ReconciliationDifference.id).where(*of_it, ReconciliationDifference.record_id == record_id)
    return db.session.execute(query.where(ReconciliationDifference.reason == reason).limit(1)).first() is not None


# --- what is read of PSCloud


def stage(report_id: int, record: str, rows: Sequence[tuple[str, str, Decimal | None, str | None]], first: bool = False) -> None:
    """Remember these records: (id, kind, pesos, document). None of them may be staged already. With the `first` ones of a kind PostgreSQL
    is told what such rows are like: else it takes them to be few, and reads all of them for each page to come."""
    if rows:
        db.session.execute(
            insert(ReconciliationStaged),
            [
                {"report_id": report_id, "record": record, "record_id": one, "kind": kind, "amount": amount, "document": document}
                for one, kind, amount, document in rows
            ],
        )
    if rows and first:
        staging.settle("reconciliation_staged")


def forget(report_id: int, record: str, ids: Sequence[str]) -> list[DifferenceRow]:
    """Of these records those that came before are forgotten, with their differences, which are returned: they came again."""
    staged = [ReconciliationStaged.report_id == report_id, ReconciliationStaged.record == record]
    again: list[str] = []
    for some in _batches(ids):
        again += db.session.scalars(select(ReconciliationStaged.record_id).where(*staged, ReconciliationStaged.record_id.in_(some)))
    gone: list[DifferenceRow] = []
    for some in _batches(again):
        mine = [
            ReconciliationDifference.report_id == report_id,
            ReconciliationDifference.record == record,
            ReconciliationDifference.record_id.in_(some),
        ]
        gone += map(_difference, db.session.execute(select(*_DIFFERENCE).where(*mine)))
        db.session.execute(delete(ReconciliationDifference).where(*mine))
        db.session.execute(delete(ReconciliationStaged).where(*staged, ReconciliationStaged.record_id.in_(some)))
    return gone


def clear_some(report_id: int, most: int = 10_000) -> bool:
    """Throw away some of what an ended report has read and, unless it was completed, found; False when nothing is left."""
    tables: list[Any] = [ReconciliationStaged]
    if db.session.scalar(select(Reconciliation.status).where(Reconciliation.id == report_id)) != "completed":
        tables.append(ReconciliationDifference)
    for table in tables:
        some = select(table.record, table.record_id).where(table.report_id == report_id).limit(most).subquery()
        mine = select(some.c.record, some.c.record_id)
        query = delete(table).where(table.report_id == report_id, tuple_(table.record, table.record_id).in_(mine))
        if db.session.execute(query, execution_options={"synchronize_session": False}).rowcount:  # type: ignore[attr-defined]
            return True
    return False


def left_behind() -> list[int]:
    """Ended reports that left behind what nobody sees."""
    staged = exists().where(ReconciliationStaged.report_id == Reconciliation.id)
    found = exists().where(ReconciliationDifference.report_id == Reconciliation.id)
    query = select(Reconciliation.id).where(Reconciliation.active_slot.is_(None), staged | ((Reconciliation.status != "completed") & found))
    return list(db.session.scalars(query))


def restart(report_id: int) -> None:
    """Forget what an active report has read and found of SOAs."""
    db.session.execute(delete(ReconciliationStaged).where(ReconciliationStaged.report_id == report_id))
    db.session.execute(delete(ReconciliationDifference).where(ReconciliationDifference.report_id == report_id))


def staged_documents(report_id: int, record: str, ids: Sequence[str]) -> dict[str, str]:
    """The documents of those of these records that are staged."""
    found: dict[str, str] = {}
    for some in _batches(ids):
        query = select(ReconciliationStaged.record_id, ReconciliationStaged.document).where(
            ReconciliationStaged.report_id == report_id, ReconciliationStaged.record == record, ReconciliationStaged.record_id.in_(some)
        )
        found |= {row[0]: row[1] or "" for row in db.session.execute(query)}
    return found


def staged_totals(report_id: int) -> tuple[int, Decimal, int]:
    """(SOAs read, pesos due on them, how many of them are equal)."""
    mine = [ReconciliationStaged.report_id == report_id, ReconciliationStaged.record == "soa"]
    count, amount = db.session.execute(select(func.count(), func.sum(ReconciliationStaged.amount)).where(*mine)).one()
    equal = db.session.scalar(select(func.count()).select_from(ReconciliationStaged).where(*mine, ReconciliationStaged.kind == "equal"))
    return count, ZERO if amount is None else amount, equal or 0


def soa_versions(ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """(version, status) of those of these SOAs that are here."""
    found: dict[str, tuple[str, str]] = {}
    for some in _batches([one for one in ids if "\x00" not in one]):
        found |= {row[0]: (row[1], row[2]) for row in db.session.execute(select(Soa.id, Soa.version, Soa.status).where(Soa.id.in_(some)))}
    return found


def absent_soas(report_id: int, after: str, limit: int = BATCH) -> list[str]:
    """Ids of open SOAs here that were in no page of PSCloud's, in order, beginning after an id."""
    staged = exists().where(
        ReconciliationStaged.report_id == report_id, ReconciliationStaged.record == "soa", ReconciliationStaged.record_id == Soa.id
    )
    return list(db.session.scalars(select(Soa.id).where(Soa.status == "active", Soa.id > after, ~staged).order_by(Soa.id).limit(limit)))


def strange_payments(report_id: int, after: str, limit: int = BATCH) -> list[tuple[str, str]]:
    """(reference, document) of staged payments that our ledger does not know, in order, beginning after a reference."""
    query = (
        select(ReconciliationStaged.record_id, ReconciliationStaged.document)
        .where(
            ReconciliationStaged.report_id == report_id, ReconciliationStaged.record == "payment", ReconciliationStaged.record_id > after
        )
        .where(~exists().where(Payment.id == ReconciliationStaged.record_id))
        .order_by(ReconciliationStaged.record_id)
        .limit(limit)
    )
    return [(row[0], row[1] or "") for row in db.session.execute(query)]


# --- our payments


@dataclass(frozen=True, slots=True)
class BookedRow:
    """One payment of the ledger, as reconciliation looks at it, and whose it is."""

    id: str
    booked: Booked
    soa_number: str
    account_number: str
    customer_name: str


def booked_after(after: str, since: datetime | None, until: datetime, limit: int = BATCH) -> list[BookedRow]:
    """Payments collected from `since` and received by `until`, in order of their references, beginning after one."""
    query = _booked_query().where(Payment.id > after, Payment.received_at <= until).order_by(Payment.id).limit(limit)
    return _booked(query if since is None else query.where(Payment.collected_at >= since))


def booked(ids: Sequence[str]) -> dict[str, BookedRow]:
    """These payments, as they stand now."""
    return {row.id: row for some in _batches(ids) for row in _booked(_booked_query().where(Payment.id.in_(some)))}


def count_booked(since: datetime | None, until: datetime) -> int:
    """How many payments booked_after() will give in all."""
    query = select(func.count()).select_from(Payment).where(Payment.received_at <= until)
    return db.session.scalar(query if since is None else query.where(Payment.collected_at >= since)) or 0


def _booked_query() -> Select[Any]:
    columns: list[Any] = [
        Payment.id,
        Payment.status,
        Void.state,
        Void.posting_status,
        Payment.amount,
        Payment.soa_id,
        Payment.claimed_receipt_number,
        Payment.soa_number,
        Payment.account_number,
        Payment.customer_name,
    ]
    return select(*columns).outerjoin(Void, (Void.payment_id == Payment.id) & (Void.state != "refused"))


def _booked(query: Select[Any]) -> list[BookedRow]:
    return [
        BookedRow(row[0], Booked(row[1], row[2] or "", row[3] or "none", row[4], row[5], row[6]), row[7], row[8], row[9])
        for row in db.session.execute(query)
    ]


# --- differences


def add_differences(report_id: int, found: Sequence[NewDifference]) -> None:
    """Keep what was found."""
    if not found:
        return
    rows = [
        {
            "report_id": report_id,
            **{
                name: getattr(one, name)
                for name in ("record", "kind", "reason", "record_id", "amount_here", "amount_pscloud", "detail", "raw")
            },
            "number": one.number[:100],
            "account_number": one.account_number[:100],
            "customer_name": one.customer_name[:300],
            "fields": json.dumps([[field.name, field.here, field.pscloud] for field in one.fields], ensure_ascii=False),
            "groups": f",{','.join(dict.fromkeys(field.group for field in one.fields))}," if one.fields else "",
            "search_text": search.fold(f"{one.customer_name} {one.account_number} {one.number} {one.record_id}"),
        }
        for one in found
    ]
    db.session.execute(insert(ReconciliationDifference), rows)


def counted(report_id: int) -> dict[tuple[str, str], int]:
    """How many differences of each (record, kind)."""
    query = (
        select(ReconciliationDifference.record, ReconciliationDifference.kind, func.count())
        .where(ReconciliationDifference.report_id == report_id)
        .group_by(ReconciliationDifference.record, ReconciliationDifference.kind)
    )
    return {(row[0], row[1]): row[2] for row in db.session.execute(query)}


def list_page(wanted: DifferenceFilter, after: int | None = None, before: int | None = None, limit: int = 50) -> DifferencePage:
    """One page in the order of ids, after or before a difference's id."""
    query = _chosen(wanted)
    backwards = before is not None and after is None
    if after is not None:
        query = query.where(ReconciliationDifference.id > after)
    elif before is not None:
        query = query.where(ReconciliationDifference.id < before)
    order = ReconciliationDifference.id.desc() if backwards else ReconciliationDifference.id
    found = [_difference(row) for row in db.session.execute(query.order_by(order).limit(limit + 1))]
    more = len(found) > limit
    found = found[:limit][::-1] if backwards else found[:limit]
    if not found:
        return DifferencePage([], None, None)
    return DifferencePage(
        found,
        next=str(found[-1].id) if more or backwards else None,
        previous=str(found[0].id) if (more if backwards else after is not None) else None,
    )


def iterate(wanted: DifferenceFilter) -> Iterator[DifferenceRow]:
    """Every difference the filter lets through, a few hundred in memory at a time."""
    after = 0
    while found := list_page(wanted, after=after, limit=BATCH).rows:
        after = found[-1].id
        yield from found


def count(wanted: DifferenceFilter, most: int | None = None) -> int:
    """How many differences the filter lets through, counted no further than `most`."""
    chosen = _chosen(wanted).with_only_columns(ReconciliationDifference.id).limit(most).subquery()
    return db.session.scalar(select(func.count()).select_from(chosen)) or 0


def sums(wanted: DifferenceFilter) -> tuple[Decimal, Decimal]:
    """Pesos here and in PSCloud of what the filter lets through."""
    here, pscloud = db.session.execute(
        _chosen(wanted).with_only_columns(func.sum(ReconciliationDifference.amount_here), func.sum(ReconciliationDifference.amount_pscloud))
    ).one()
    return here or ZERO, pscloud or ZERO


def _chosen(wanted: DifferenceFilter) -> Select[Any]:
    query: Select[Any] = select(*_DIFFERENCE).where(ReconciliationDifference.report_id == wanted.report_id)
    if wanted.record:
        query = query.where(ReconciliationDifference.record == wanted.record)
    if wanted.kind:
        query = query.where(ReconciliationDifference.kind == wanted.kind)
    if wanted.field:
        query = query.where(ReconciliationDifference.groups.like(f"%,{_escaped(wanted.field)},%", escape="\\"))
    for word in search.words_of(wanted.q):
        query = query.where(ReconciliationDifference.search_text.like(f"%{_escaped(word)}%", escape="\\"))
    return query


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _difference(row: Any) -> DifferenceRow:
    plain, fields, detail, raw = row[:-3], row[-3], row[-2], row[-1]
    values: dict[str, Any] = dict(zip(_PLAIN, plain, strict=True))
    return DifferenceRow(**values, fields=tuple(Differing(*field) for field in json.loads(fields)), detail=detail, raw=raw)


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]
