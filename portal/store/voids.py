"""Voids: what was asked for, what the office decided, and the outbox of void calls to PSCloud."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import bindparam, func, or_, select, update
from sqlalchemy.orm import aliased

from portal.domain.money import ZERO, centavos
from portal.domain.readings import Voided
from portal.domain.voids import STATES
from portal.extensions import db
from portal.store import payment_totals, rebuilt
from portal.store.models import Payment, Posting, Terminal, User, Void

Collector, Decider = aliased(User), aliased(User)
_ANY_DECISION = (
    select(Void.id).where(Void.terminal_id == bindparam("terminal_id"), Void.state != "requested", Void.counted_seq.is_(None)).limit(1)
)


@dataclass(frozen=True, slots=True)
class VoidRow:
    """One void with the payment it undoes. Money in pesos; `posting_status` is none, due, claimed, completed or failed."""

    id: int
    void_number: str
    terminal: str
    payment_id: str
    receipt_number: str
    customer_name: str
    account_number: str
    soa_id: str
    amount: Decimal
    tender: str
    payment_status: str
    collected_at: datetime
    collector: str
    collector_display: str
    asked_by: str
    asked_by_display: str
    reason: str
    requested_at: datetime
    received_at: datetime
    state: str
    decided_by: str | None
    decided_by_display: str
    decided_at: datetime | None
    decision_reason: str
    counted_registry_id: str | None
    counted_seq: int | None
    posting_status: str
    attempts: int
    next_attempt_at: datetime | None
    last_error: str
    posted_at: datetime | None


@dataclass(frozen=True, slots=True)
class VoidTotals:
    """How many voids stand in a state, and the pesos of their payments."""

    count: int
    amount: Decimal


def _rows(query: Any) -> list[VoidRow]:
    return [
        VoidRow(
            id=void.id,
            void_number=void.void_number,
            terminal=code,
            payment_id=payment.id,
            receipt_number=payment.claimed_receipt_number,
            customer_name=payment.customer_name,
            account_number=payment.account_number,
            soa_id=payment.soa_id,
            amount=payment.amount,
            tender=payment.tender,
            payment_status=payment.status,
            collected_at=payment.collected_at,
            collector=collector.name,
            collector_display=collector.display_name,
            asked_by=asker.name,
            asked_by_display=asker.display_name,
            reason=void.reason,
            requested_at=void.requested_at,
            received_at=void.received_at,
            state=void.state,
            decided_by=void.decided_by,
            decided_by_display=decider or void.decided_by or "",
            decided_at=void.decided_at,
            decision_reason=void.decision_reason,
            counted_registry_id=void.counted_registry_id,
            counted_seq=void.counted_seq,
            posting_status=void.posting_status,
            attempts=void.attempts,
            next_attempt_at=void.next_attempt_at,
            last_error=void.last_error,
            posted_at=void.posted_at,
        )
        for void, payment, code, asker, collector, decider in db.session.execute(query.execution_options(populate_existing=True))
    ]


def _base() -> Any:
    return (
        select(Void, Payment, Terminal.code, User, Collector, Decider.display_name)
        .join(Payment, Payment.id == Void.payment_id)
        .join(Terminal, Terminal.id == Void.terminal_id)
        .join(User, User.id == Void.user_id)
        .join(Collector, Collector.id == Payment.user_id)
        .outerjoin(Decider, Decider.name == Void.decided_by)
    )


def get(void_id: int) -> VoidRow | None:
    """One void, or None."""
    return next(iter(_rows(_base().where(Void.id == void_id))), None)


def by_number(void_number: str) -> VoidRow | None:
    """The void with this number, or None."""
    return next(iter(_rows(_base().where(Void.void_number == void_number))), None)


def of_payment(payment_id: str) -> list[VoidRow]:
    """Every void ever asked for of one payment, newest first."""
    return _rows(_base().where(Void.payment_id == payment_id).order_by(Void.id.desc()))


def approved_of(payment_ids: Iterable[str]) -> dict[str, VoidRow]:
    """The approved void of each of these payments that has one."""
    ids, found = list(payment_ids), dict[str, VoidRow]()
    for start in range(0, len(ids), 500):
        rows = _rows(_base().where(Void.payment_id.in_(ids[start : start + 500]), Void.state == "approved"))
        found |= {row.payment_id: row for row in rows}
    return found


def list_page(state: str, after_id: int | None = None, limit: int = 50) -> tuple[list[VoidRow], int | None]:
    """One page of voids in a state, of those that PSCloud refused (`failed`), or of all (any other word), and the id to go on after or
    None. What waits longest comes first; what is decided, newest first."""
    query = _base()
    if state in STATES:
        query = query.where(Void.state == state)
    elif state == "failed":
        query = query.where(Void.posting_status == "failed")
    if state == "requested":
        query = query.order_by(Void.id)
        query = query if after_id is None else query.where(Void.id > after_id)
    else:
        query = query.order_by(Void.id.desc())
        query = query if after_id is None else query.where(Void.id < after_id)
    rows = _rows(query.limit(limit + 1))
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None


def totals() -> dict[str, VoidTotals]:
    """Count and pesos of the voids in each state."""
    query = select(Void.state, func.count(), func.sum(Payment.amount)).join(Payment, Payment.id == Void.payment_id).group_by(Void.state)
    found = {state: VoidTotals(count, amount) for state, count, amount in db.session.execute(query)}
    return {state: found.get(state, VoidTotals(0, ZERO)) for state in STATES}


_WAITING = select(func.count()).select_from(Void).where(Void.state == "requested")


def count_waiting() -> int:
    """How many requests nobody has decided."""
    return int(db.session.connection().execute(_WAITING).scalar_one())


def count_failed() -> int:
    """How many approved voids PSCloud refused."""
    return db.session.execute(select(func.count()).select_from(Void).where(Void.posting_status == "failed")).scalar_one()


# --- booking and deciding ------------------------------------------------------------------------------------------------


def lock_named(terminal_id: int, void_numbers: Iterable[str], payment_ids: Iterable[str], deciding: bool = False) -> None:
    """Take the locks an upload will need before it takes the audit chain's, in the order everybody else takes them: postings, voids,
    payments, those too that were rebuilt from paper and that the upload may complete. `deciding`: it may decide voids, as a supervisor
    does, who holds the postings first."""
    numbers, payments = sorted(set(void_numbers)), sorted(set(payment_ids))
    if deciding and payments:
        own = select(Payment.id).where(Payment.terminal_id == terminal_id, Payment.id.in_(payments))
        posted = select(Posting.payment_id).where(Posting.payment_id.in_(own)).order_by(Posting.payment_id)
        db.session.execute(posted.with_for_update()).all()
    if numbers:
        query = select(Void.id).where(Void.terminal_id == terminal_id, Void.void_number.in_(numbers)).order_by(Void.id)
        db.session.execute(query.with_for_update()).all()
    expected = list(rebuilt.expected(terminal_id))
    if payments or expected:
        named = Payment.id.in_(sorted({*payments, *expected}))
        rows = select(Payment.id).where(Payment.terminal_id == terminal_id, named).order_by(Payment.id)
        db.session.execute(rows.with_for_update(read=not expected, key_share=True)).all()


@dataclass(frozen=True, slots=True)
class PaymentFacts:
    """What a request to void is held against. Pesos."""

    terminal_id: int
    receipt_number: str
    amount: Decimal


def payment_facts(payment_id: str) -> PaymentFacts | None:
    """The payment somebody wants voided, or None."""
    query = select(Payment.terminal_id, Payment.claimed_receipt_number, Payment.amount).where(Payment.id == payment_id)
    found = db.session.execute(query).one_or_none()
    return PaymentFacts(*found) if found else None


def open_of(payment_ids: Iterable[str]) -> dict[str, str]:
    """payment -> `requested` or `approved`, for those whose void waits or is approved."""
    found: dict[str, str] = {}
    ids = list(payment_ids)
    for start in range(0, len(ids), 500):
        query = select(Void.payment_id, Void.state).where(Void.payment_id.in_(ids[start : start + 500]), Void.state != "refused")
        found.update((payment_id, state) for payment_id, state in db.session.execute(query))
    return found


def add(**values: object) -> None:
    """Insert a request. UNIQUE on the number, and on payments whose void waits or is approved, settle two at once."""
    db.session.add(Void(**values))
    db.session.flush()
    payment_totals.voided(str(values["payment_id"]), "", "requested")


def lock_posting(payment_id: str) -> str | None:
    """The state of a payment's posting, locked until the transaction ends so that it cannot end meanwhile; None when there is none."""
    return db.session.execute(select(Posting.status).where(Posting.payment_id == payment_id).with_for_update()).scalar_one_or_none()


def lock_state(void_id: int) -> str | None:
    """The state of a void, locked until the transaction ends; None when there is no such void."""
    return db.session.execute(select(Void.state).where(Void.id == void_id).with_for_update()).scalar_one_or_none()


def decide(void_id: int, state: str, who: str, reason: str, now: datetime, to_pscloud: bool) -> None:
    """Write the decision of a request, and make its call to PSCloud due when PSCloud holds the payment."""
    values: dict[str, object] = {"state": state, "decided_by": who, "decided_at": now, "decision_reason": reason}
    if to_pscloud:
        values |= {"posting_status": "due", "next_attempt_at": now}
    payment_id = db.session.execute(update(Void).where(Void.id == void_id).values(**values).returning(Void.payment_id)).scalar_one()
    payment_totals.voided(payment_id, "requested", "" if state == "refused" else state)


def write_down(void_id: int, registry_id: str, seq: int) -> None:
    """Note where the journal wrote the decision down: from there on it counts in that registry's readings."""
    db.session.execute(update(Void).where(Void.id == void_id).values(counted_registry_id=registry_id, counted_seq=seq))


def not_written_down(terminal_id: int) -> list[VoidRow]:
    """Decisions the terminal's journal does not hold yet, in the order of their requests."""
    if db.session.execute(_ANY_DECISION, {"terminal_id": terminal_id}).first() is None:
        return []  # what nearly every answer to a phone comes to
    query = _base().where(Void.terminal_id == terminal_id, Void.state != "requested", Void.counted_seq.is_(None)).order_by(Void.id)
    return _rows(query)


def issued_in_registry(terminal_id: int, registry_id: str, before_seq: int) -> list[str]:
    """Void numbers asked for in a registry before a place in the journal, in journal order."""
    query = (
        select(Void.void_number)
        .where(Void.terminal_id == terminal_id, Void.registry_id == registry_id, Void.journal_seq < before_seq)
        .order_by(Void.journal_seq)
    )
    return list(db.session.execute(query).scalars())


def counted_in_registry(terminal_id: int, registry_id: str, before_seq: int, after_seq: int = 0) -> list[Voided]:
    """Approved voids that the journal wrote down in a registry between two places, in journal order. Centavos."""
    query = (
        select(Void.void_number, Payment.amount, Payment.tender)
        .join(Payment, Payment.id == Void.payment_id)
        .where(
            Void.terminal_id == terminal_id,
            Void.state == "approved",
            Void.counted_registry_id == registry_id,
            Void.counted_seq < before_seq,
            Void.counted_seq > after_seq,
        )
        .order_by(Void.counted_seq)
    )
    return [Voided(number, centavos(amount), tender == "cash") for number, amount, tender in db.session.execute(query)]


# --- the outbox to PSCloud -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VoidItem:
    """A void PSCloud must be told of."""

    void_id: int
    void_number: str
    payment_id: str
    receipt_number: str
    reason: str
    decided_at: datetime
    decided_by: str
    attempts: int


def make_due(payment_ids: Sequence[str], now: datetime) -> bool:
    """PSCloud turns out to hold these payments: approved voids of them are due there; says whether there is one."""
    done = db.session.execute(
        update(Void)
        .where(Void.payment_id.in_(payment_ids), Void.state == "approved", Void.posting_status == "none")
        .values(posting_status="due", next_attempt_at=now)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


def renew(void_id: int, now: datetime) -> bool:
    """Make a failed call due again; says whether it was failed."""
    done = db.session.execute(
        update(Void)
        .where(Void.id == void_id, Void.posting_status == "failed")
        .values(posting_status="due", next_attempt_at=now, lease=None, lease_until=None)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


def _claimable(now: datetime):  # type: ignore[no-untyped-def]
    return or_(
        (Void.posting_status == "due") & (Void.next_attempt_at <= now),
        (Void.posting_status == "claimed") & (Void.lease_until < now),
    )


def due_count(now: datetime) -> int:
    """How many calls could be claimed now: due ones, and claimed ones whose lease ran out."""
    return db.session.execute(select(func.count()).select_from(Void).where(_claimable(now))).scalar_one()


def claim(lease: str, now: datetime, until: datetime) -> VoidItem | None:
    """Claim one call by conditional UPDATE: two workers never get the same one while a lease lives. None when nothing is due, or
    another worker was quicker."""
    chosen = db.session.execute(select(Void.id).where(_claimable(now)).order_by(Void.next_attempt_at, Void.id).limit(1)).scalar()
    if chosen is None:
        return None
    db.session.execute(
        update(Void)
        .where(Void.id == chosen, _claimable(now))
        .values(posting_status="claimed", lease=lease, lease_until=until, attempts=Void.attempts + 1)
    )
    found = db.session.execute(
        select(
            Void.id,
            Void.void_number,
            Void.payment_id,
            Payment.claimed_receipt_number,
            Void.reason,
            Void.decided_at,
            Void.decided_by,
            Void.attempts,
        )
        .join(Payment, Payment.id == Void.payment_id)
        .where(Void.lease == lease, Void.posting_status == "claimed")
    ).one_or_none()
    if found is None or found.decided_at is None or found.decided_by is None:
        return None
    return VoidItem(
        found.id,
        found.void_number,
        found.payment_id,
        found.claimed_receipt_number,
        found.reason,
        found.decided_at,
        found.decided_by,
        found.attempts,
    )


def finish(void_id: int, lease: str, status: str, error: str, answer: str, now: datetime) -> bool:
    """End a claimed call as completed or failed, if the lease is still ours; says whether it was."""
    done = db.session.execute(
        update(Void)
        .where(Void.id == void_id, Void.lease == lease, Void.posting_status == "claimed")
        .values(posting_status=status, last_error=error, last_answer=answer, posted_at=now, lease=None, lease_until=None)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


def postpone(void_id: int, lease: str, error: str, at: datetime) -> bool:
    """Give a claimed call back, to be tried again at `at`, if the lease is still ours; says whether it was."""
    done = db.session.execute(
        update(Void)
        .where(Void.id == void_id, Void.lease == lease, Void.posting_status == "claimed")
        .values(posting_status="due", last_error=error, next_attempt_at=at, lease=None, lease_until=None)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


def hasten(now: datetime) -> None:
    """What waits to be told to PSCloud again is due now."""
    db.session.execute(update(Void).where(Void.posting_status == "due", Void.next_attempt_at > now).values(next_attempt_at=now))
