"""The outbox to PSCloud: what must be posted, who holds it now, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import bindparam, delete, func, insert, or_, select, text, update

from portal.extensions import db
from portal.store import bulk, restores
from portal.store.at_once import among, insert_all
from portal.store.models import Payment, PaymentAllocation, Posting, Void
from portal.store.money_tables import PostingAttempt


@dataclass(frozen=True, slots=True)
class PostingPart:
    """A part of a payment, as PSCloud is told of it. Pesos."""

    invoice_id: str | None
    kind: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class PostingItem:
    """A payment to post; `ask_first` says that an earlier attempt may have reached PSCloud."""

    posting_id: int
    payment_id: str
    receipt_number: str
    soa_id: str
    amount: Decimal
    tender: str
    reference: str | None
    collected_at: datetime
    collector_code: str
    parts: tuple[PostingPart, ...]
    ask_first: bool
    attempts: int


def add(payment_id: str, now: datetime) -> None:
    """Put a payment into the outbox, in the transaction that approves it; one row a payment for ever."""
    existing = db.session.execute(select(Posting.id).where(Posting.payment_id == payment_id)).scalar_one_or_none()
    if existing is not None:
        renew(payment_id, now)
        return
    # Once this database was put back from a backup, PSCloud may hold any payment that arrives: it may have been posted before.
    db.session.add(Posting(payment_id=payment_id, status="due", next_attempt_at=now, created_at=now, outcome_unknown=restores.ever()))
    db.session.flush()


def found(payment_id: str, answer: str, now: datetime) -> None:
    """PSCloud holds a payment that nobody was posting: its outbox row is completed, and made where there is none."""
    ended = {"status": "completed", "last_error": "", "last_answer": answer, "finished_at": now, "outcome_unknown": False}
    done = db.session.execute(update(Posting).where(Posting.payment_id == payment_id).values(**ended))
    if not done.rowcount:  # type: ignore[attr-defined]
        db.session.execute(insert(Posting).values(payment_id=payment_id, attempts=0, next_attempt_at=now, created_at=now, **ended))


def renew(payment_id: str, now: datetime) -> None:
    """Make an ended posting due again; whether PSCloud may know it already is kept."""
    db.session.execute(
        update(Posting)
        .where(Posting.payment_id == payment_id, Posting.status.in_(["failed", "completed"]))
        .values(status="due", next_attempt_at=now, finished_at=None, lease=None, lease_until=None)
    )


def ask_and_post_again(payment_id: str, now: datetime) -> None:
    """Make the posting of a payment that PSCloud had due again; PSCloud is asked first whether it has it after all."""
    due = {"status": "due", "next_attempt_at": now, "finished_at": None, "lease": None, "lease_until": None, "outcome_unknown": True}
    done = db.session.execute(update(Posting).where(Posting.payment_id == payment_id).values(**due))
    if not done.rowcount:  # type: ignore[attr-defined]
        db.session.execute(insert(Posting).values(payment_id=payment_id, attempts=0, created_at=now, **due))


def withdraw(payment_id: str) -> bool:
    """Take a payment out of the outbox if nobody ever began to post it; says whether that was so."""
    row = [Posting.payment_id == payment_id, Posting.status == "due", Posting.attempts == 0]
    doubtful = db.session.execute(select(Posting.next_attempt_at).where(*row, Posting.outcome_unknown)).scalar_one_or_none()
    done = db.session.execute(delete(Posting).where(*row))
    if doubtful is not None:
        restores.ask_for(payment_id, doubtful)
    return bool(done.rowcount)  # type: ignore[attr-defined]


def due_count(now: datetime) -> int:
    """How many rows could be claimed now: due ones, and claimed ones whose lease ran out. What is being voided is claimed only to ask
    PSCloud about an earlier attempt."""
    return db.session.execute(select(func.count()).select_from(Posting).where(_claimable(now))).scalar_one()


def _claimable(now: datetime):  # type: ignore[no-untyped-def]
    voiding = select(Void.id).where(Void.payment_id == Posting.payment_id, Void.state != "refused").exists()
    return or_(
        (Posting.status == "due") & (Posting.next_attempt_at <= now) & or_(Posting.outcome_unknown, ~voiding),
        (Posting.status == "claimed") & (Posting.lease_until < now),
    )


_POSTINGS = Posting.metadata.tables[Posting.__tablename__]
_CLAIMED = (
    select(
        Posting.id,
        Posting.payment_id,
        Payment.claimed_receipt_number,
        Payment.soa_id,
        Payment.amount,
        Payment.tender,
        Payment.reference,
        Payment.collected_at,
        Payment.collector_code,
        Posting.attempts,
    )
    .join(Payment, Payment.id == Posting.payment_id)
    .where(Posting.lease == bindparam("lease"), Posting.status == "claimed")
    .order_by(Posting.id)
)
_PARTS = (
    select(PaymentAllocation.payment_id, PaymentAllocation.invoice_id, PaymentAllocation.kind, PaymentAllocation.amount)
    .join(Payment, Payment.id == PaymentAllocation.payment_id)
    .where(among(PaymentAllocation.payment_id, "payments"), PaymentAllocation.generation == Payment.allocation_generation)
    .order_by(PaymentAllocation.payment_id, PaymentAllocation.position)
)


def claim(lease: str, now: datetime, until: datetime, limit: int) -> list[PostingItem]:
    """Claim up to `limit` rows by conditional UPDATE: two workers never get the same one while a lease lives.

    A claimed row counts as possibly sent from this moment, whatever happens to us."""
    some = select(Posting.id, Posting.outcome_unknown).where(_claimable(now)).order_by(Posting.next_attempt_at, Posting.id).limit(limit)
    asked: dict[int, bool] = {row.id: row.outcome_unknown for row in db.session.execute(some)}
    if not asked:
        return []
    db.session.execute(
        update(_POSTINGS)
        .where(among(_POSTINGS.c.id, "ids", numbers=True), _claimable(now))
        .values(status="claimed", lease=lease, lease_until=until, attempts=_POSTINGS.c.attempts + 1, outcome_unknown=True),
        {"ids": list(asked)},
    )
    rows = db.session.execute(_CLAIMED, {"lease": lease}).all()
    parts: dict[str, list[PostingPart]] = {}
    for payment_id, invoice_id, kind, amount in db.session.execute(_PARTS, {"payments": [row.payment_id for row in rows]}):
        parts.setdefault(payment_id, []).append(PostingPart(invoice_id, kind, amount))
    return [
        PostingItem(
            posting_id, payment_id, receipt, soa, amount, tender, reference, collected_at, collector,
            tuple(parts.get(payment_id, ())), asked.get(posting_id, True), attempts,
        )
        for posting_id, payment_id, receipt, soa, amount, tender, reference, collected_at, collector, attempts in rows
    ]  # fmt: skip


def keep(lease: str, until: datetime, late: timedelta = timedelta(0)) -> set[int]:
    """Hold what this lease still holds until then; what is held until at most `late` earlier stays as it is, so that a lease just taken
    costs no write. Returns those rows' ids; what another worker took meanwhile is not among them."""
    held = list(
        db.session.execute(
            select(Posting.id, Posting.lease_until).where(Posting.lease == lease, Posting.status == "claimed").order_by(Posting.id)
        )
    )
    if all(row.lease_until is not None and row.lease_until >= until - late for row in held):
        return {row.id for row in held}
    db.session.execute(update(Posting).where(Posting.lease == lease, Posting.status == "claimed").values(lease_until=until))
    return set(db.session.execute(select(Posting.id).where(Posting.lease == lease, Posting.status == "claimed")).scalars())


@dataclass(frozen=True, slots=True)
class Ended:
    """How the posting of one payment ended: PSCloud's reason, empty when it took it, and its raw answer."""

    posting_id: int
    error: str
    answer: str


_HELD = (
    select(Posting.id)
    .where(among(Posting.id, "ids", numbers=True), Posting.lease == bindparam("lease"), Posting.status == "claimed")
    .order_by(Posting.id)
    .with_for_update()
)
_FINISH = (
    update(_POSTINGS)
    .where(_POSTINGS.c.id == bindparam("of_posting"))
    .values(
        status=bindparam("ended"),
        last_error=bindparam("error"),
        last_answer=bindparam("answer"),
        finished_at=bindparam("at"),
        lease=None,
        lease_until=None,
        outcome_unknown=False,
    )
)


_FINISH_AT_ONCE = text(
    "UPDATE postings SET status = :status, last_error = e.error, last_answer = e.answer, finished_at = :at, lease = NULL, "
    "lease_until = NULL, outcome_unknown = false "
    "FROM unnest(CAST(:ids AS integer[]), CAST(:errors AS text[]), CAST(:answers AS text[])) AS e(id, error, answer) "
    "WHERE postings.id = e.id"
)
"""On PostgreSQL one statement is quicker than one for each row."""


def finish(ended: Sequence[Ended], lease: str, status: str, now: datetime) -> set[int]:
    """End claimed rows as completed or failed, those whose lease is still ours; their ids."""
    ids = [one.posting_id for one in ended]
    held = set(db.session.execute(_HELD, {"ids": ids, "lease": lease}).scalars())
    rows = [
        {"of_posting": one.posting_id, "ended": status, "error": one.error, "answer": one.answer, "at": now}
        for one in ended
        if one.posting_id in held
    ]
    if rows and bulk.is_postgresql():
        named = {"ids": [row["of_posting"] for row in rows], "errors": [row["error"] for row in rows]}
        answers = {"answers": [row["answer"] for row in rows], "status": status, "at": now}
        db.session.connection().execute(_FINISH_AT_ONCE, {**named, **answers})
    elif rows:
        db.session.connection().execute(_FINISH, rows)
    return held


def postpone(posting_id: int, lease: str, error: str, at: datetime, outcome_unknown: bool) -> bool:
    """Give a claimed row back, to be tried again at `at`, if the lease is still ours; says whether it was."""
    done = db.session.execute(
        update(Posting)
        .where(Posting.id == posting_id, Posting.lease == lease, Posting.status == "claimed")
        .values(status="due", last_error=error, next_attempt_at=at, lease=None, lease_until=None, outcome_unknown=outcome_unknown)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


def hasten(now: datetime) -> None:
    """What waits for its next attempt is due now."""
    db.session.execute(update(Posting).where(Posting.status == "due", Posting.next_attempt_at > now).values(next_attempt_at=now))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to post a payment and what came of it: completed, failed or postponed."""

    payment_id: str
    at: datetime
    attempt: int
    outcome: str
    reason: str
    answer: str


def note(attempts: Sequence[Attempt]) -> None:
    """Keep what came of these attempts."""
    insert_all(PostingAttempt.metadata.tables[PostingAttempt.__tablename__], [asdict(one) for one in attempts])


def attempts_of(payment_id: str, limit: int = 30) -> list[Attempt]:
    """The latest attempts to post a payment, the last first."""
    query = select(PostingAttempt).where(PostingAttempt.payment_id == payment_id).order_by(PostingAttempt.id.desc()).limit(limit)
    return [
        Attempt(row.payment_id, row.at, row.attempt, row.outcome, row.reason, row.answer) for row in db.session.execute(query).scalars()
    ]
