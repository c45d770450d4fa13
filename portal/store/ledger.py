"""The ledger: payments, their flags and allocations, and what PSCloud's figures do not show of them yet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, cast

from sqlalchemy import Executable, and_, bindparam, delete, func, insert, or_, select, text, update

from portal.domain.allocation import Allocation, Kind, Vat
from portal.domain.journal import entry_hash
from portal.domain.money import ZERO, centavos, from_centavos
from portal.domain.readings import Taken
from portal.extensions import db
from portal.store import bulk, payment_list, payment_totals
from portal.store.at_once import among
from portal.store.models import (
    JournalEntry,
    Payment,
    PaymentAllocation,
    PaymentFlag,
    Posting,
    ReadingPayment,
    Registry,
    SyncRun,
    UnconfirmedSoa,
    User,
    Void,
)
from portal.store.payment_list import UNPOSTED as UNPOSTED
from portal.store.payment_list import PaymentFilter as PaymentFilter
from portal.store.payment_list import PaymentPage as PaymentPage
from portal.store.payment_list import PaymentRow as PaymentRow
from portal.store.payment_list import PaymentTotals as PaymentTotals
from portal.store.payment_list import collectors as collectors
from portal.store.payment_list import iterate as iterate
from portal.store.payment_list import list_page as list_page
from portal.store.payment_list import totals as totals
from portal.store.payment_list import totals_of_page as totals_of_page

payments_of_soa = payment_list.of_soa
VOIDED = select(Void.payment_id).where(Void.state == "approved")


@dataclass(frozen=True, slots=True)
class AllocationRow:
    """A part of a payment; `current` tells the allocation that counts from one that was replaced."""

    generation: int
    current: bool
    invoice_number: str | None
    kind: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class FlagRow:
    """Why a payment is held."""

    flag: str
    detail: str
    raised_at: datetime


@dataclass(frozen=True, slots=True)
class PostingRow:
    """How posting to PSCloud goes."""

    status: str
    attempts: int
    next_attempt_at: datetime
    last_error: str
    last_answer: str
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class PaymentDetail:
    """Everything of one payment."""

    row: PaymentRow
    penalty: Decimal
    principal: Decimal
    advance: Decimal
    vatable: Decimal
    vat_amount: Decimal
    vat_exempt: Decimal
    zero_rated: Decimal
    tendered: Decimal | None
    change: Decimal | None
    balance_after: Decimal
    mode: str
    collector_code: str
    registry_id: str
    journal_seq: int
    entry_hash: str
    flags: list[FlagRow]
    allocations: list[AllocationRow]
    posting: PostingRow | None


def get(payment_id: str) -> PaymentDetail | None:
    """Everything of one payment, or None."""
    payment = db.session.get(Payment, payment_id, populate_existing=True)
    if payment is None:
        return None
    (row,) = payment_list.of_ids([payment_id])
    parts = list(
        db.session.execute(
            select(PaymentAllocation)
            .where(PaymentAllocation.payment_id == payment_id)
            .order_by(PaymentAllocation.generation.desc(), PaymentAllocation.position)
        ).scalars()
    )
    current = [part for part in parts if part.generation == payment.allocation_generation]
    flags = db.session.execute(
        select(PaymentFlag).where(PaymentFlag.payment_id == payment_id).order_by(PaymentFlag.raised_at, PaymentFlag.flag)
    ).scalars()
    posting = db.session.execute(select(Posting).where(Posting.payment_id == payment_id)).scalar_one_or_none()

    def of_kind(kind: str) -> Decimal:
        return sum((part.amount for part in current if part.kind == kind), ZERO)

    return PaymentDetail(
        row=row,
        penalty=of_kind("penalty"),
        principal=of_kind("principal"),
        advance=of_kind("advance"),
        vatable=payment.vatable,
        vat_amount=payment.vat_amount,
        vat_exempt=payment.vat_exempt,
        zero_rated=payment.zero_rated,
        tendered=payment.tendered,
        change=payment.change,
        balance_after=payment.balance_after,
        mode=payment.mode,
        collector_code=payment.collector_code,
        registry_id=payment.registry_id,
        journal_seq=payment.journal_seq,
        entry_hash=payment.entry_hash,
        flags=[FlagRow(flag.flag, flag.detail, flag.raised_at) for flag in flags],
        allocations=[
            AllocationRow(p.generation, p.generation == payment.allocation_generation, p.invoice_number, p.kind, p.amount) for p in parts
        ],
        posting=PostingRow(
            posting.status,
            posting.attempts,
            posting.next_attempt_at,
            posting.last_error,
            posting.last_answer,
            posting.created_at,
            posting.finished_at,
        )
        if posting
        else None,
    )


@dataclass(frozen=True, slots=True)
class SplitRow:
    """A payment with its current allocation summed by kind, for reports."""

    row: PaymentRow
    penalty: Decimal
    principal: Decimal
    advance: Decimal
    invoices: tuple[str, ...]


def with_split(rows: Iterable[PaymentRow]) -> list[SplitRow]:
    """The payments with penalty, principal, advance and the invoices they paid."""
    payments = list(rows)
    sums: dict[str, dict[str, Decimal]] = {}
    invoices: dict[str, list[str]] = {}
    for start in range(0, len(payments), 500):
        ids = [row.id for row in payments[start : start + 500]]
        query = (
            select(PaymentAllocation.payment_id, PaymentAllocation.kind, PaymentAllocation.amount, PaymentAllocation.invoice_number)
            .join(Payment, Payment.id == PaymentAllocation.payment_id)
            .where(PaymentAllocation.payment_id.in_(ids), PaymentAllocation.generation == Payment.allocation_generation)
            .order_by(PaymentAllocation.position)
        )
        for payment_id, kind, amount, number in db.session.execute(query):
            kinds = sums.setdefault(payment_id, {})
            kinds[kind] = kinds.get(kind, ZERO) + amount
            if number and number not in invoices.setdefault(payment_id, []):
                invoices[payment_id].append(number)
    return [
        SplitRow(
            row,
            sums.get(row.id, {}).get("penalty", ZERO),
            sums.get(row.id, {}).get("principal", ZERO),
            sums.get(row.id, {}).get("advance", ZERO),
            tuple(invoices.get(row.id, ())),
        )
        for row in payments
    ]


# --- what is paid and not shown by PSCloud yet ---------------------------------------------------------------------------


# Made once: every upload and every download comes by here, and building a statement takes longer than running it.
_FIGURES_SINCE = select(SyncRun.started_at).where(SyncRun.status == "completed").order_by(SyncRun.id.desc()).limit(1)
_UNCONFIRMED = select(UnconfirmedSoa.soa_id, SyncRun.started_at).join(SyncRun).where(among(UnconfirmedSoa.soa_id, "some"))
_PAID = (
    select(
        Payment.soa_id,
        PaymentAllocation.invoice_id,
        PaymentAllocation.invoice_number,
        PaymentAllocation.kind,
        PaymentAllocation.amount,
        Payment.posted_at,
    )
    .join(Payment, Payment.id == PaymentAllocation.payment_id)
    .where(
        among(Payment.soa_id, "some"),
        Payment.id.not_in(VOIDED),
        PaymentAllocation.generation == Payment.allocation_generation,
    )
)
_PAID_SINCE = _PAID.where(
    or_(
        Payment.posted_at.is_(None),
        Payment.posted_at >= bindparam("since"),
        among(Payment.soa_id, "older"),
    )
)


def figures_since() -> datetime | None:
    """The instant (ours) at which the last completed download began: what was posted before it is in PSCloud's figures."""
    return db.session.execute(_FIGURES_SINCE).scalar_one_or_none()


def unreflected(soa_ids: Iterable[str]) -> dict[str, list[Allocation]]:
    """Current allocations of payments that PSCloud's figures do not show yet, by SOA; a voided payment pays nothing. Centavos."""
    since = figures_since()
    ids = list(soa_ids)
    found: dict[str, list[Allocation]] = {}
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        older: dict[str, datetime] = {row[0]: row[1] for row in db.session.execute(_UNCONFIRMED, {"some": some}) if row[1] is not None}
        values = {"some": some, "since": since, "older": list(older)} if since else {"some": some}
        query = _PAID_SINCE if since else _PAID
        for soa_id, invoice_id, number, kind, amount, posted_at in db.session.execute(query, values):
            if posted_at is not None and soa_id in older and posted_at < older[soa_id]:
                continue
            found.setdefault(soa_id, []).append(Allocation(invoice_id, number, cast(Kind, kind), centavos(amount)))
    return found


# --- status --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StatusRow:
    """What a change of status needs to know."""

    id: str
    status: str
    flagged: bool
    amount: Decimal
    collector: str


def statuses(payment_ids: Iterable[str]) -> dict[str, StatusRow]:
    """Status of these payments, locked until the transaction ends."""
    ids = list(payment_ids)
    flagged = set(db.session.execute(select(PaymentFlag.payment_id).where(PaymentFlag.payment_id.in_(ids))).scalars())
    query = (
        select(Payment.id, Payment.status, Payment.amount, User.name)
        .join(User, User.id == Payment.user_id)
        .where(Payment.id.in_(ids))
        .order_by(Payment.id)
        .with_for_update(of=Payment)
    )
    return {id_: StatusRow(id_, status, id_ in flagged, amount, name) for id_, status, amount, name in db.session.execute(query)}


def posted_at(payment_id: str) -> datetime | None:
    """When it was posted to PSCloud, UTC; None when it is not there."""
    return db.session.execute(select(Payment.posted_at).where(Payment.id == payment_id)).scalar_one_or_none()


def set_status(payment_id: str, was: str, status: str, reason: str, now: datetime, **values: object) -> bool:
    """Move a payment's status, if it still is what it was; says whether it did."""
    changed = {"status": status, "status_reason": reason, "status_at": now, **values}
    done = db.session.execute(_set_status(tuple(changed)), {"of_payment": payment_id, "was": was, **changed})
    if not done.rowcount:  # type: ignore[attr-defined]
        return False
    payment_totals.moved([payment_id], was, status)
    return True


def set_statuses(payment_ids: Sequence[str], was: str, status: str, reason: str, now: datetime) -> None:
    """Move the status of all of these that still are what they were."""
    if payment_ids:
        payments = Payment.metadata.tables[Payment.__tablename__]
        some = update(payments).where(payments.c.id.in_(payment_ids), payments.c.status == was)
        found = some.values(status=status, status_reason=reason, status_at=now).returning(payments.c.id)
        payment_totals.moved(list(db.session.execute(found).scalars()), was, status)


_POSTED_AT_ONCE = text(
    "UPDATE payments SET status = 'completed', status_reason = '', status_at = :at, posted_at = :at, pscloud_id = e.name "
    "FROM unnest(CAST(:ids AS text[]), CAST(:names AS text[])) AS e(id, name) WHERE payments.id = e.id AND payments.status = 'processing'"
)
"""On PostgreSQL one statement is quicker than one for each row."""


def set_posted(pscloud_ids: Mapping[str, str | None], now: datetime) -> None:
    """Payments that were being posted are in PSCloud, under the ids it gave them."""
    ids = sorted(pscloud_ids)
    locked = select(Payment.id).where(Payment.id.in_(ids), Payment.status == "processing").order_by(Payment.id).with_for_update()
    moving = list(db.session.execute(locked).scalars())
    changed = {"was": "processing", "status": "completed", "status_reason": "", "status_at": now, "posted_at": now}
    rows = [{"of_payment": one, "pscloud_id": pscloud_ids[one], **changed} for one in moving]
    if rows and bulk.is_postgresql():
        named = {"ids": moving, "names": [pscloud_ids[one] for one in moving], "at": now}
        db.session.connection().execute(_POSTED_AT_ONCE, named)
        payment_totals.moved(moving, "processing", "completed")
    elif rows:
        db.session.connection().execute(_set_status(tuple(name for name in rows[0] if name not in ("of_payment", "was"))), rows)
        payment_totals.moved(moving, "processing", "completed")


def set_reason(payment_id: str, status: str, reason: str, now: datetime) -> bool:
    """Write down why a payment stands where it does, if it still does; says whether it did."""
    done = db.session.execute(
        update(Payment).where(Payment.id == payment_id, Payment.status == status).values(status_reason=reason, status_at=now)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


def current_parts(payment_id: str) -> list[Allocation]:
    """The allocation of a payment that counts, in its order. Centavos."""
    query = (
        select(PaymentAllocation.invoice_id, PaymentAllocation.invoice_number, PaymentAllocation.kind, PaymentAllocation.amount)
        .join(Payment, Payment.id == PaymentAllocation.payment_id)
        .where(Payment.id == payment_id, PaymentAllocation.generation == Payment.allocation_generation)
        .order_by(PaymentAllocation.position)
    )
    return [Allocation(invoice, number, cast(Kind, kind), centavos(amount)) for invoice, number, kind, amount in db.session.execute(query)]


def allocate_anew(payment_id: str, soa_id: str, parts: Sequence[Allocation]) -> None:
    """Put an allocation in place of the one that counts; none is ever changed. Centavos."""
    last = db.session.execute(select(func.max(PaymentAllocation.generation)).where(PaymentAllocation.payment_id == payment_id)).scalar_one()
    rows = [
        {
            "payment_id": payment_id, "generation": last + 1, "position": place, "soa_id": soa_id, "invoice_id": part.invoice,
            "invoice_number": part.invoice_number, "kind": part.kind, "amount": from_centavos(part.amount),
        }
        for place, part in enumerate(parts)
    ]  # fmt: skip
    db.session.execute(insert(PaymentAllocation), rows)
    db.session.execute(update(Payment).where(Payment.id == payment_id).values(allocation_generation=last + 1))


def assign(payment_id: str, soa_id: str, soa_number: str, account_number: str, collector_code: str) -> None:
    """Give a payment that has no SOA to this one; the flag that said so is settled. A trigger refuses it for any other payment."""
    before = payment_totals.facts_of([payment_id])
    values = {"soa_id": soa_id, "soa_number": soa_number, "account_number": account_number, "collector_code": collector_code}
    db.session.execute(update(Payment).where(Payment.id == payment_id).values(**values))
    db.session.execute(delete(PaymentFlag).where(PaymentFlag.payment_id == payment_id, PaymentFlag.flag == "unassigned_account"))
    payment_totals.changed(before, payment_totals.facts_of([payment_id]))


@dataclass(frozen=True, slots=True)
class Proof:
    """A payment's entry in the journal: its payload as sent, and whether its hash is that of its content and its link that of the entry
    before. `before` is None when the portal does not hold the entry before (a fork's, or one behind a gap)."""

    payload: str
    prev: str
    intact: bool
    before: bool | None
    received_at: datetime


def proof(detail: PaymentDetail) -> Proof | None:
    """The entry a payment came from and its place in the chain; None when it is of a forked journal, kept beside the chain."""
    entry = JournalEntry
    terminal = select(Payment.terminal_id).where(Payment.id == detail.row.id).scalar_subquery()
    rows = db.session.execute(
        select(entry).where(entry.terminal_id == terminal, entry.seq.in_([detail.journal_seq - 1, detail.journal_seq])).order_by(entry.seq)
    ).scalars()
    found = {row.seq: row for row in rows}
    own = found.get(detail.journal_seq)
    if own is None or own.hash != detail.entry_hash:
        return None
    sent = {
        "terminal": detail.row.terminal, "seq": own.seq, "kind": own.kind, "at": own.at, "at_trusted": own.at_trusted,
        "payload": json.loads(own.payload), "prev": own.prev,
    }  # fmt: skip
    before = found.get(detail.journal_seq - 1)
    return Proof(own.payload, own.prev, entry_hash(sent) == own.hash, None if before is None else before.hash == own.prev, own.received_at)


@cache
def _set_status(names: tuple[str, ...]) -> Executable:
    payments = Payment.metadata.tables[Payment.__tablename__]
    is_it = (payments.c.id == bindparam("of_payment"), payments.c.status == bindparam("was"))
    return update(payments).where(*is_it).values({name: bindparam(name) for name in names})


def _of_main_chain() -> Any:
    """Joins a payment to the entry of the main chain it came from; a fork's payment has none."""
    return and_(
        JournalEntry.terminal_id == Payment.terminal_id,
        JournalEntry.seq == Payment.journal_seq,
        JournalEntry.hash == Payment.entry_hash,
    )


def _of_period(query: Any, terminal_id: int, registry_id: str, before_seq: int) -> Any:
    """The payments of a registry before a place in the journal: those of the main chain (a fork's money was in no period of this chain),
    and none that an earlier Z took as a late one."""
    taken_late = select(ReadingPayment.payment_id).where(ReadingPayment.payment_id == Payment.id, ReadingPayment.late)
    return (
        query.join(JournalEntry, _of_main_chain())
        .where(
            Payment.terminal_id == terminal_id,
            Payment.registry_id == registry_id,
            Payment.journal_seq < before_seq,
            ~taken_late.exists(),
        )
        .order_by(Payment.journal_seq)
    )


def taken_in_registry(terminal_id: int, registry_id: str, before_seq: int) -> list[Taken]:
    """The payments of a registry before a place in the journal, in journal order, as printed: what a reading adds up."""
    found = db.session.execute(_of_period(select(Payment), terminal_id, registry_id, before_seq)).scalars()
    return list(_as_printed(found).values())


def ids_in_registry(terminal_id: int, registry_id: str, before_seq: int) -> list[str]:
    """Which payments those are."""
    return list(db.session.execute(_of_period(select(Payment.id), terminal_id, registry_id, before_seq)).scalars())


def in_no_z(terminal_id: int, before_seq: int) -> dict[str, Taken]:
    """The payments of a terminal that no Z-reading holds yet, in journal order, as printed, by payment. Of the main chain those before a
    place in it; of a fork, whose places mean nothing here, all that are booked."""
    query = (
        select(Payment)
        .outerjoin(JournalEntry, _of_main_chain())
        .where(
            Payment.terminal_id == terminal_id,
            or_(JournalEntry.id.is_(None), Payment.journal_seq < before_seq),
            ~select(ReadingPayment.payment_id).where(ReadingPayment.payment_id == Payment.id).exists(),
        )
        .order_by(Payment.journal_seq, Payment.id)
    )
    return _as_printed(db.session.execute(query).scalars())


def _in_a_printed_z() -> Any:
    """Whether the phone has a payment in a Z: its journal holds it before the Z of its registry."""
    return (
        select(JournalEntry.id)
        .join(Registry, Registry.id == Payment.registry_id)
        .where(_of_main_chain(), Registry.terminal_id == Payment.terminal_id, Registry.z_seq > Payment.journal_seq)
        .exists()
    )


def printed_before(payment_ids: Iterable[str]) -> int:
    """What of these payments the phone has in a Z-reading that the portal accepted, in centavos."""
    query = select(func.sum(Payment.amount)).where(Payment.id.in_(list(payment_ids)), _in_a_printed_z())
    return centavos(db.session.execute(query).scalar_one() or ZERO)


def late_and_never_printed(terminal_id: int) -> int:
    """What the Z-readings of a terminal took as late so far and no Z of its phone has, in centavos."""
    query = (
        select(func.sum(Payment.amount))
        .join(ReadingPayment, ReadingPayment.payment_id == Payment.id)
        .where(Payment.terminal_id == terminal_id, ReadingPayment.late, ~_in_a_printed_z())
    )
    return centavos(db.session.execute(query).scalar_one() or ZERO)


def _as_printed(found: Iterable[Payment]) -> dict[str, Taken]:
    payments = list(found)
    sums: dict[tuple[str, str], int] = {}
    for start in range(0, len(payments), 500):
        ids = [payment.id for payment in payments[start : start + 500]]
        for payment_id, kind, amount in db.session.execute(
            select(PaymentAllocation.payment_id, PaymentAllocation.kind, func.sum(PaymentAllocation.amount))
            .where(PaymentAllocation.payment_id.in_(ids), PaymentAllocation.generation == 0)
            .group_by(PaymentAllocation.payment_id, PaymentAllocation.kind)
        ):
            sums[payment_id, kind] = centavos(amount)
    return {
        p.id: Taken(
            p.claimed_receipt_number,
            centavos(p.amount),
            p.tender,
            p.channel,
            sums.get((p.id, "penalty"), 0),
            sums.get((p.id, "advance"), 0),
            Vat(centavos(p.vatable), centavos(p.vat_amount), centavos(p.vat_exempt), centavos(p.zero_rated)),
        )
        for p in payments
    }
