"""What reports are made of: rows of plain cells for a period, a collector and a code. Money in pesos; what is voided is told apart. Each
query finds its payments by business date, by registry or by SOA, never by walking them all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import islice, pairwise
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select

from portal.domain.money import ZERO
from portal.domain.payments import TENDERS
from portal.domain.receipts import read_receipt_number, read_void_number
from portal.extensions import db
from portal.store import collector_codes, ledger, remittances, soas, sync_history
from portal.store import missing as missing_store
from portal.store import voids as voids_store
from portal.store.ledger import VOIDED, PaymentFilter, PaymentRow, SplitRow
from portal.store.missing import MissingRow, Span
from portal.store.models import (
    CollectorCode,
    JournalEntry,
    Payment,
    PaymentAllocation,
    PaymentFlag,
    Reading,
    ReadingPayment,
    Registry,
    Remittance,
    RemittanceLine,
    RemittanceReading,
    Soa,
    SoaTotal,
    Terminal,
    User,
    UserRole,
    Visit,
    Void,
)
from portal.store.remittances import RemittanceFilter, RemittanceRow
from portal.store.soas import SoaFilter
from portal.store.sync_history import RunFilter
from portal.store.sync_runs import RunRow
from portal.store.voids import VoidRow

Cell = str | int | Decimal | date | datetime | None
Row = tuple[Cell, ...]
AGES = (30, 60, 90)
"""Days overdue up to which an SOA is in each bucket; what is older is in the last."""


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """What a report is of: business dates from `first` to `last`, and the instants `since` and before `until` that are the same days;
    `collector` (a user name) and `code` empty = all; of SOAs code "-" = those without one."""

    first: date
    last: date
    since: datetime
    until: datetime
    collector: str = ""
    code: str = ""


def _of(wanted: ReportFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [Payment.business_date >= wanted.first, Payment.business_date <= wanted.last]
    if wanted.collector:
        conditions.append(Payment.user_id.in_(select(User.id).where(User.name == wanted.collector)))
    if wanted.code:
        conditions.append(Payment.collector_code == wanted.code)
    return conditions


_APPROVED = and_(Void.payment_id == Payment.id, Void.state == "approved")


# --- what was collected ---------------------------------------------------------------------------------------------------


def daily(wanted: ReportFilter) -> Iterator[Row]:
    """Day, collector, payments, cash, check, e-wallet, bank transfer, total, penalty, principal, advance, voided payments, voided."""
    key = (Payment.business_date, Payment.user_id)
    sums = (
        select(*key, User.display_name, Payment.tender, Void.id.is_not(None), func.count(), func.sum(Payment.amount))
        .join(User, User.id == Payment.user_id)
        .outerjoin(Void, _APPROVED)
        .where(*_of(wanted))
        .group_by(*key, User.display_name, Payment.tender, Void.id.is_not(None))
    )
    kinds = _kinds(wanted, key, PaymentAllocation.generation == Payment.allocation_generation)
    found: dict[tuple[date, str, int], dict[str, Decimal]] = {}
    counts: Counter[tuple[date, str, int, bool]] = Counter()
    for day, user_id, name, tender, voided, count, amount in db.session.execute(sums):
        line, what = found.setdefault((day, name, user_id), {}), "voided" if voided else tender
        line[what] = line.get(what, ZERO) + amount
        counts[day, name, user_id, bool(voided)] += count
    for (day, name, user_id), line in sorted(found.items()):
        good = [line.get(tender, ZERO) for tender in TENDERS]
        whose = (day, name, user_id)
        parts = [kinds.get((day, user_id, kind), ZERO) for kind in ("penalty", "principal", "advance")]
        yield (day, name, counts[*whose, False], *good, sum(good, ZERO), *parts, counts[*whose, True], line.get("voided", ZERO))


def _kinds(wanted: ReportFilter, key: Sequence[Any], generation: ColumnElement[bool]) -> dict[tuple[Any, ...], Decimal]:
    """Pesos allocated to each kind, by key and kind, of what is not voided."""
    query = (
        select(*key, PaymentAllocation.kind, func.sum(PaymentAllocation.amount))
        .select_from(Payment)
        .join(PaymentAllocation, PaymentAllocation.payment_id == Payment.id)
        .where(*_of(wanted), Payment.id.not_in(VOIDED), generation)
        .group_by(*key, PaymentAllocation.kind)
    )
    return {tuple(row[:-1]): row[-1] for row in db.session.execute(query)}


def tenders(wanted: ReportFilter) -> Iterator[Row]:
    """Tender, channel, payments, collected, of these in PSCloud, voided payments, voided; in the order of the readings."""
    posted = Payment.status == "completed"
    query = (
        select(Payment.tender, Payment.channel, Void.id.is_not(None), posted, func.count(), func.sum(Payment.amount))
        .outerjoin(Void, _APPROVED)
        .where(*_of(wanted))
        .group_by(Payment.tender, Payment.channel, Void.id.is_not(None), posted)
    )
    found: dict[tuple[int, str], list[Any]] = {}
    for tender, channel, voided, in_pscloud, count, amount in db.session.execute(query):
        line = found.setdefault((TENDERS.index(tender), channel or ""), [0, ZERO, ZERO, 0, ZERO])
        if voided:
            line[3], line[4] = line[3] + count, line[4] + amount
        else:
            line[0], line[1] = line[0] + count, line[1] + amount
            line[2] += amount if in_pscloud else ZERO
    for (order, channel), line in sorted(found.items()):
        yield (TENDERS[order], channel or None, *line)


def vat(wanted: ReportFilter) -> Iterator[Row]:
    """Day, payments, VATable, VAT amount, VAT-exempt, zero-rated, penalty, advance, total; as printed, without what is voided."""
    figures = (Payment.vatable, Payment.vat_amount, Payment.vat_exempt, Payment.zero_rated)
    query = (
        select(Payment.business_date, func.count(), *(func.sum(figure) for figure in figures), func.sum(Payment.amount))
        .where(*_of(wanted), Payment.id.not_in(VOIDED))
        .group_by(Payment.business_date)
        .order_by(Payment.business_date)
    )
    kinds = _kinds(wanted, (Payment.business_date,), PaymentAllocation.generation == 0)
    for day, count, *sums, amount in db.session.execute(query):
        yield (day, count, *sums, kinds.get((day, "penalty"), ZERO), kinds.get((day, "advance"), ZERO), amount)


def collection(wanted: ReportFilter) -> Iterator[tuple[SplitRow, VoidRow | None]]:
    """Every payment in receipt order with its allocation and its approved void, some hundred in memory at a time."""
    rows = of_code(PaymentFilter(date_from=wanted.first, date_to=wanted.last, collector=wanted.collector), wanted.code)
    while some := list(islice(rows, 500)):
        approved = voids_store.approved_of(row.id for row in some if row.void == "approved")
        for line in ledger.with_split(some):
            yield line, approved.get(line.row.id)


def count_payments(wanted: ReportFilter) -> int:
    """How many payments `collection` gives."""
    return db.session.execute(select(func.count()).select_from(Payment).where(*_of(wanted))).scalar_one()


def of_code(wanted: PaymentFilter, code: str) -> Iterator[PaymentRow]:
    """The payments of a filter in receipt order, or those of them whose SOA carried this code."""
    if not code:
        yield from ledger.iterate(wanted)
        return
    of = [Payment.collector_code == code]
    if wanted.date_from:
        of.append(Payment.business_date >= wanted.date_from)
    if wanted.date_to:
        of.append(Payment.business_date <= wanted.date_to)
    mine = set(db.session.scalars(select(Payment.id).where(*of)))
    yield from (row for row in ledger.iterate(wanted) if row.id in mine)


def advances(wanted: ReportFilter) -> Iterator[Row]:
    """Day, receipt, account, customer, code, collector, tender, amount, advance, status, of payments that hold an advance and are not
    voided."""
    query = (
        select(
            Payment.business_date, Payment.claimed_receipt_number, Payment.account_number, Payment.customer_name, Payment.collector_code,
            User.display_name, Payment.tender, Payment.amount, func.sum(PaymentAllocation.amount), Payment.status,
        )
        .join(User, User.id == Payment.user_id)
        .join(PaymentAllocation, PaymentAllocation.payment_id == Payment.id)
        .where(
            *_of(wanted),
            Payment.id.not_in(VOIDED),
            PaymentAllocation.kind == "advance",
            PaymentAllocation.generation == Payment.allocation_generation,
        )
        .group_by(Payment.id, User.display_name)
        .order_by(Payment.business_date, Payment.claimed_receipt_number, Payment.id)
    )  # fmt: skip
    return (tuple(row) for row in db.session.execute(query))


# --- what is owed, promised, visited --------------------------------------------------------------------------------------


def aging(wanted: ReportFilter, today: date) -> Iterator[Row]:
    """Code, its name, accounts, not due, up to 30, 60, 90 days overdue, older, total: the open SOAs as downloaded last that fall due in
    the period."""
    total = SoaTotal
    edges = [today, *(today - timedelta(days=age) for age in AGES)]
    buckets: list[ColumnElement[bool]] = [total.due_date >= edges[0]]
    buckets += [and_(total.due_date < later, total.due_date >= earlier) for later, earlier in pairwise(edges)]
    buckets.append(total.due_date < edges[-1])
    query = (
        select(
            total.collector_code,
            func.sum(total.count),
            *(func.sum(case((bucket, total.amount_due), else_=ZERO)) for bucket in buckets),
            func.sum(total.amount_due),
        )
        .where(total.status == "active", total.due_date >= wanted.first, total.due_date <= wanted.last)
        .group_by(total.collector_code)
        .order_by(total.collector_code)
    )
    if wanted.code:
        query = query.where(total.collector_code == ("" if wanted.code == soas.NO_CODE else wanted.code))
    if wanted.collector:
        query = query.where(total.collector_code.in_(_codes_of(wanted.collector)))
    names = {row[0]: row[1] for row in db.session.execute(select(CollectorCode.code, CollectorCode.name))}
    for code, count, *sums in db.session.execute(query):
        if count:
            yield (code or None, names.get(code, "" if code else "Without a code"), int(count), *sums)


def aging_accounts(wanted: ReportFilter, today: date) -> Iterator[Row]:
    """Code, account, customer, SOA number, due date, days overdue, the amount in its bucket of five, amount due, penalty in it: each open
    SOA that falls due in the period, by code and due date, some hundred in memory at a time."""
    due = (None if wanted.first == date.min else wanted.first, None if wanted.last == date.max else wanted.last)
    for code, *_ in list(aging(wanted, today)):
        for row in soas.iterate(SoaFilter(collector_code=str(code or soas.NO_CODE), due_from=due[0], due_to=due[1]), today):
            place = sum(row.days_overdue > edge for edge in (0, *AGES))
            buckets = [row.amount_due if number == place else ZERO for number in range(len(AGES) + 2)]
            yield (
                row.collector_code, row.account_number, row.customer_name, row.soa_number, row.due_date, row.days_overdue, *buckets,
                row.amount_due, row.penalty,
            )  # fmt: skip


def _codes_of(collector: str) -> list[str]:
    return [code for code, people in collector_codes.holders_now().items() if any(one.user_name == collector for one in people)]


def promises(wanted: ReportFilter, today: date) -> Iterator[Row]:
    """Promised for, customer, account, SOA number, code, collector, promised, noted at, collected since, state, note, of promises for the
    period.

    The state is kept, partly kept, due or broken."""
    since = select(func.sum(Payment.amount)).where(
        Payment.soa_id == Visit.soa_id, Payment.collected_at > Visit.visited_at, Payment.id.not_in(VOIDED)
    )
    query = (
        select(
            Visit.promised_on, Soa.customer_name, Soa.account_number, Soa.soa_number, Soa.collector_code, User.display_name, Visit.amount,
            Visit.visited_at, Visit.note, since.correlate(Visit).scalar_subquery(),
        )
        .join(User, User.id == Visit.user_id)
        .outerjoin(Soa, Soa.id == Visit.soa_id)
        .where(Visit.kind == "promise", Visit.promised_on >= wanted.first, Visit.promised_on <= wanted.last)
        .order_by(Visit.promised_on, Visit.id)
    )  # fmt: skip
    if wanted.collector:
        query = query.where(User.name == wanted.collector)
    if wanted.code:
        query = query.where(Soa.collector_code == wanted.code)
    for *of_soa, collector, amount, noted, note, collected in db.session.execute(query).yield_per(500):
        day = of_soa[0]
        paid = collected or ZERO
        enough = paid >= (amount or ZERO) and paid > 0
        state = "kept" if enough else "partly kept" if paid else "broken" if day and day < today else "due"
        yield (*of_soa, collector, amount, noted, paid, state, note or None)


def visits(wanted: ReportFilter) -> Iterator[Row]:
    """When, promise or no_collection, customer, account, code, collector, reason, promised for, promised, note: each visit of the period
    that brought no money."""
    query = (
        select(
            Visit.visited_at, Visit.kind, Soa.customer_name, Soa.account_number, Soa.collector_code, User.display_name, Visit.reason,
            Visit.promised_on, Visit.amount, Visit.note,
        )
        .join(User, User.id == Visit.user_id)
        .outerjoin(Soa, Soa.id == Visit.soa_id)
        .where(Visit.visited_at >= wanted.since, Visit.visited_at < wanted.until)
        .order_by(Visit.visited_at, Visit.id)
    )  # fmt: skip
    if wanted.collector:
        query = query.where(User.name == wanted.collector)
    if wanted.code:
        query = query.where(Soa.collector_code == wanted.code)
    return (tuple(row) for row in db.session.execute(query).yield_per(500))


def performance(wanted: ReportFilter, today: date) -> Iterator[Row]:
    """Collector, codes, accounts now, accounts visited, collected from, payments, collected, promises, could not collect, why and how
    often, voids, share of payments voided in thousandths."""
    paid = (
        select(Payment.user_id, func.count(), func.count(Payment.soa_id.distinct()), func.sum(Payment.amount))
        .where(*_of(wanted), Payment.id.not_in(VOIDED))
        .group_by(Payment.user_id)
    )
    money = {row[0]: (row[1], row[2], row[3]) for row in db.session.execute(paid)}
    gone = select(Payment.user_id, func.count()).where(*_of(wanted), Payment.id.in_(VOIDED)).group_by(Payment.user_id)
    voided = {row[0]: row[1] for row in db.session.execute(gone)}
    reasons: dict[int, Counter[str]] = {}
    promised: Counter[int] = Counter()
    for user_id, kind, reason, count in db.session.execute(_visits(wanted, Visit.kind, Visit.reason)):
        if kind == "promise":
            promised[user_id] += count
        else:
            reasons.setdefault(user_id, Counter())[reason] += count
    codes: dict[str, list[str]] = {}
    for code, people in collector_codes.holders_now().items():
        for one in people:
            if not wanted.code or code == wanted.code:
                codes.setdefault(one.user_name, []).append(code)
    accounts = collector_codes.sums_by_code(today, sorted({code for held in codes.values() for code in held}))
    visited = _visited(wanted)
    for user_id, name, display in db.session.execute(_people(wanted, {*money, *voided, *reasons, *promised})):
        payments, customers, collected = money.get(user_id, (0, 0, ZERO))
        why, held = reasons.get(user_id, Counter()), sorted(codes.get(name, []))
        if not (payments or voided.get(user_id) or why or promised[user_id] or held):
            continue
        every = payments + voided.get(user_id, 0)
        yield (
            display, ", ".join(held), sum(accounts[code].accounts for code in held if code in accounts), visited.get(user_id, 0), customers,
            payments, collected, promised[user_id], why.total(), _each(why), voided.get(user_id, 0),
            round(1000 * voided.get(user_id, 0) / every) if every else None,
        )  # fmt: skip


def _each(why: Counter[str]) -> str | None:
    """Every reason with how often it was given, the most frequent first."""
    return ", ".join(f"{reason} {times}" for reason, times in sorted(why.items(), key=lambda one: (-one[1], one[0]))) or None


def reasons(wanted: ReportFilter) -> list[Row]:
    """Why nothing was collected, how often, and whose visits these were: the most frequent reason first."""
    names = {row[0]: row[1] for row in db.session.execute(select(User.id, User.display_name))}
    found: dict[str, Counter[str]] = {}
    for user_id, kind, reason, count in db.session.execute(_visits(wanted, Visit.kind, Visit.reason)):
        if kind == "no_collection":
            found.setdefault(reason, Counter())[names[user_id]] += count
    return [(reason, who.total(), _each(who)) for reason, who in sorted(found.items(), key=lambda one: (-one[1].total(), one[0]))]


def _people(wanted: ReportFilter, besides: set[int]) -> Any:
    """Everybody who is a collector now, and everybody who did something as one."""
    collectors = User.id.in_(select(UserRole.user_id).where(UserRole.role == "collector"))
    query = select(User.id, User.name, User.display_name).where(or_(collectors, User.id.in_(sorted(besides))))
    if wanted.collector:
        query = query.where(User.name == wanted.collector)
    return query.order_by(User.display_name, User.id)


def _visits(wanted: ReportFilter, *group: Any) -> Any:
    query = select(Visit.user_id, *group, func.count()).where(Visit.visited_at >= wanted.since, Visit.visited_at < wanted.until)
    if wanted.collector:
        query = query.where(Visit.user_id.in_(select(User.id).where(User.name == wanted.collector)))
    if wanted.code:
        query = query.join(Soa, Soa.id == Visit.soa_id).where(Soa.collector_code == wanted.code)
    return query.group_by(Visit.user_id, *group)


def _visited(wanted: ReportFilter) -> dict[int, int]:
    """How many accounts each collector stood before: paid, promised or not collected from."""
    seen: dict[int, set[str]] = {}
    paying = select(Payment.user_id, Payment.soa_id).where(*_of(wanted)).distinct()
    for user_id, soa_id in db.session.execute(paying):
        seen.setdefault(user_id, set()).add(soa_id)
    for user_id, soa_id, _ in db.session.execute(_visits(wanted, Visit.soa_id)):
        seen.setdefault(user_id, set()).add(soa_id)
    return {user_id: len(soas) for user_id, soas in seen.items()}


# --- what a supervisor looks into -----------------------------------------------------------------------------------------


def _registries(wanted: ReportFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [Registry.business_date >= wanted.first, Registry.business_date <= wanted.last]
    if wanted.collector:
        conditions.append(Registry.user_id.in_(select(User.id).where(User.name == wanted.collector)))
    return conditions


def voids(wanted: ReportFilter) -> Iterator[Row]:
    """When, number, receipt, customer, account, collector, amount, reason, state, decided by, decided at, of voids asked for in
    a registry of the period."""
    query = (
        select(
            Void.requested_at, Void.void_number, Payment.claimed_receipt_number, Payment.customer_name, Payment.account_number,
            User.display_name, Payment.amount, Void.reason, Void.state, Void.decided_by, Void.decided_at,
        )
        .join(Registry, Registry.id == Void.registry_id)
        .join(Payment, Payment.id == Void.payment_id)
        .join(User, User.id == Void.user_id)
        .where(*_registries(wanted))
        .order_by(Void.requested_at, Void.id)
    )  # fmt: skip
    if wanted.code:
        query = query.where(Payment.collector_code == wanted.code)
    return (tuple(row) for row in db.session.execute(query))


def reprints(wanted: ReportFilter) -> Iterator[Row]:
    """When, receipt, customer, account, collector, which copy, the number of the reprint, of receipts printed again in the period."""
    query = (
        select(JournalEntry.at, JournalEntry.payload, User.display_name)
        .join(Registry, Registry.id == JournalEntry.registry_id)
        .join(User, User.id == Registry.user_id)
        .where(*_registries(wanted), JournalEntry.kind == "receipt_printed", JournalEntry.verdict == "stored")
        .order_by(JournalEntry.id)
    )
    again = []
    for at, text, collector in db.session.execute(query):
        printed = json.loads(text)
        if isinstance(printed, dict) and isinstance(printed.get("reprint"), int) and printed["reprint"] > 0:
            again.append((at, printed, collector))
    whose = _payments([str(printed.get("payment")) for _, printed, _ in again], wanted.code)
    for at, printed, collector in again:
        payment = whose.get(str(printed.get("payment")))
        if payment is None and wanted.code:
            continue
        customer, account = payment or (None, None)
        copy = "collector's copy" if printed.get("copy") == "collector" else "customer's receipt"
        yield (datetime.fromisoformat(at), str(printed.get("receipt_number")), customer, account, collector, copy, printed["reprint"])


def _payments(ids: Sequence[str], code: str) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for start in range(0, len(ids), 500):
        query = select(Payment.id, Payment.customer_name, Payment.account_number).where(Payment.id.in_(ids[start : start + 500]))
        if code:
            query = query.where(Payment.collector_code == code)
        found |= {row[0]: (row[1], row[2]) for row in db.session.execute(query)}
    return found


def late(wanted: ReportFilter) -> Iterator[Row]:
    """Terminal, receipt, day, collected at, received at, customer, collector, amount, the Z counter that holds it (None: none yet), of
    payments that came after the Z-reading or the closing of their registry."""
    marked = select(PaymentFlag.payment_id).where(PaymentFlag.payment_id == Payment.id, PaymentFlag.flag == "late").exists()
    query = (
        select(
            Terminal.code, Payment.claimed_receipt_number, Payment.business_date, Payment.collected_at, Payment.received_at,
            Payment.customer_name, User.display_name, Payment.amount, Reading.z_counter,
        )
        .join(Terminal, Terminal.id == Payment.terminal_id)
        .join(User, User.id == Payment.user_id)
        .outerjoin(ReadingPayment, ReadingPayment.payment_id == Payment.id)
        .outerjoin(Reading, Reading.id == ReadingPayment.reading_id)
        .where(*_of(wanted), or_(ReadingPayment.late, marked))
        .order_by(Payment.business_date, Terminal.code, Payment.claimed_receipt_number, Payment.id)
    )  # fmt: skip
    return (tuple(row) for row in db.session.execute(query))


def missing(wanted: ReportFilter) -> list[MissingRow]:
    """Runs of receipts, voids and Z-readings that have not arrived to this moment and lie between, or right beside, those of the period."""
    receipt = Payment.receipt_number
    receipts = select(Payment.terminal_id, func.min(receipt), func.max(receipt)).where(*_of(wanted), receipt.is_not(None))
    asked = select(Void.terminal_id, func.min(Void.void_number), func.max(Void.void_number)).join(Registry, Registry.id == Void.registry_id)
    counters = select(Reading.terminal_id, func.min(Reading.z_counter), func.max(Reading.z_counter))
    of_readings = [Reading.kind == "Z", Reading.business_date >= wanted.first, Reading.business_date <= wanted.last]
    if wanted.collector:
        of_readings.append(Reading.user_id.in_(select(User.id).where(User.name == wanted.collector)))
    spans: list[Span] = []
    for terminal_id, low, high in db.session.execute(receipts.group_by(Payment.terminal_id)):
        spans.append((terminal_id, "receipt", read_receipt_number(str(low))[1], read_receipt_number(str(high))[1]))
    for terminal_id, low, high in db.session.execute(asked.where(*_registries(wanted)).group_by(Void.terminal_id)):
        spans.append((terminal_id, "void", read_void_number(low)[1], read_void_number(high)[1]))
    for terminal_id, first, last in db.session.execute(counters.where(*of_readings).group_by(Reading.terminal_id)):
        spans.append((terminal_id, "z", first or 0, last or 0))
    return missing_store.beside_spans(spans)


@dataclass(frozen=True, slots=True)
class ReadingLine:
    """An X or Z as the portal worked it out: `figures` as docs/journal.md names them, in centavos; whether the phone's differs."""

    business_date: date
    terminal: str
    collector: str
    made_at: datetime
    z_counter: int | None
    figures: Mapping[str, Any]
    differs: bool


def readings(wanted: ReportFilter, kind: str) -> Iterator[ReadingLine]:
    """Each X or Z of the period, by day and terminal."""
    columns = (Reading.business_date, Terminal.code, User.display_name, Reading.made_at, Reading.z_counter, Reading.portal)
    query = (
        select(*columns, Reading.differences)
        .join(Terminal, Terminal.id == Reading.terminal_id)
        .join(User, User.id == Reading.user_id)
        .where(Reading.business_date >= wanted.first, Reading.business_date <= wanted.last, Reading.kind == kind)
        .order_by(Reading.business_date, Terminal.code, Reading.id)
    )
    if wanted.collector:
        query = query.where(User.name == wanted.collector)
    if wanted.code:
        days = (Payment.business_date >= wanted.first, Payment.business_date <= wanted.last)
        query = query.where(Reading.registry_id.in_(select(Payment.registry_id).where(Payment.collector_code == wanted.code, *days)))
    for day, code, name, made_at, z_counter, portal, differences in db.session.execute(query).yield_per(500):
        yield ReadingLine(day, code, name, made_at, z_counter, json.loads(portal), differences != "[]")


@dataclass(frozen=True, slots=True)
class RemittanceDetail:
    """What a remittance report says beside the row: whose count, why, who decided, for which Z-readings, and what was received in each
    tender besides cash."""

    collector_count: Decimal | None
    reason: str
    decided_by: str | None
    readings: tuple[str, ...]
    others: Mapping[str, Decimal]


def remitted(wanted: ReportFilter) -> Iterator[tuple[RemittanceRow, RemittanceDetail]]:
    """Every remittance received in the period, the oldest first; of a code those that hold a payment of it."""
    chosen = RemittanceFilter(since=wanted.since, until=wanted.until, collector=wanted.collector)
    rows: list[RemittanceRow] = []
    while page := remittances.list_page(chosen, rows[-1].id if rows else None, 500):
        rows += page
    rows.reverse()
    for start in range(0, len(rows), 500):
        some = rows[start : start + 500]
        details = _remitted([row.id for row in some])
        of_code = _holding([row.id for row in some], wanted.code) if wanted.code else set(details)
        for row in some:
            if row.id in of_code:
                yield row, details[row.id]


def _remitted(ids: Sequence[int]) -> dict[int, RemittanceDetail]:
    columns = (Remittance.id, Remittance.collector_count, Remittance.reason, Remittance.decided_by)
    readings: dict[int, list[str]] = {}
    of_these = (
        select(RemittanceReading.remittance_id, Terminal.code, Reading.z_counter)
        .join(Reading, Reading.id == RemittanceReading.reading_id)
        .join(Terminal, Terminal.id == Reading.terminal_id)
        .where(RemittanceReading.remittance_id.in_(ids))
        .order_by(Terminal.code, Reading.z_counter)
    )
    for key, code, z_counter in db.session.execute(of_these):
        readings.setdefault(key, []).append(f"{code} Z {z_counter}")
    others: dict[int, dict[str, Decimal]] = {}
    line = RemittanceLine
    received = select(line.remittance_id, line.tender, func.sum(line.received_amount)).where(line.remittance_id.in_(ids))
    for key, tender, amount in db.session.execute(received.group_by(line.remittance_id, line.tender)):
        others.setdefault(key, {})[tender] = amount
    return {
        key: RemittanceDetail(count, reason, by, tuple(readings.get(key, ())), others.get(key, {}))
        for key, count, reason, by in db.session.execute(select(*columns).where(Remittance.id.in_(ids)))
    }


def _holding(ids: Sequence[int], code: str) -> set[int]:
    query = (
        select(RemittanceReading.remittance_id)
        .join(ReadingPayment, ReadingPayment.reading_id == RemittanceReading.reading_id)
        .join(Payment, Payment.id == ReadingPayment.payment_id)
        .where(RemittanceReading.remittance_id.in_(ids), Payment.collector_code == code)
    )
    return set(db.session.scalars(query.distinct()))


def downloads(wanted: ReportFilter) -> list[RunRow]:
    """Every download asked for in the period, the oldest first."""
    return list(sync_history.iterate(RunFilter(since=wanted.since, until=wanted.until)))[::-1]
