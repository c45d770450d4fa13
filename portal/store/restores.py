"""When this database was put back from a backup, and what must be remembered of that. Never commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, exists, func, insert, select, update

from portal.extensions import db
from portal.store.models import Payment, Posting, Restore, UnaskedPayment


@dataclass(frozen=True, slots=True)
class RestoreRow:
    """One restore; terminals from `first_code` to `last_code` may have been enrolled after the backup was made."""

    id: int
    restored_at: datetime
    first_code: int
    last_code: int


def latest() -> RestoreRow | None:
    """The last restore, or None when there never was one."""
    columns = (Restore.id, Restore.restored_at, Restore.first_code, Restore.last_code)
    found = db.session.execute(select(*columns).order_by(Restore.id.desc()).limit(1)).one_or_none()
    return RestoreRow(*found) if found else None


def ever() -> bool:
    """Whether PSCloud may hold payments of ours that this database forgot."""
    return bool(db.session.scalar(select(exists(select(Restore.id)))))


def skips(number: int) -> bool:
    """Whether the terminal code of that number may have been given out by what a restore took away."""
    return bool(db.session.scalar(select(exists().where(Restore.first_code <= number, Restore.last_code >= number))))


def last_skipped() -> int:
    """The highest terminal number that a restore keeps for phones which have it already; 0 when none."""
    return db.session.scalar(select(func.max(Restore.last_code))) or 0


def add(who: str, now: datetime, first_code: int, last_code: int) -> None:
    """Note a restore."""
    db.session.execute(insert(Restore).values(restored_at=now, who=who[:120], first_code=first_code, last_code=last_code))


# --- payments that PSCloud may hold


def ask_before_posting() -> int:
    """Have PSCloud asked before anything that is still in the outbox is sent. Returns how many payments that concerns."""
    open_ = update(Posting).where(Posting.status != "completed")
    return int(db.session.execute(open_.values(outcome_unknown=True)).rowcount)  # type: ignore[attr-defined]


def ask_for_all_that_rest(now: datetime) -> int:
    """Have PSCloud asked for every payment that waits for a person or failed. Returns how many."""
    return _ask(now, Payment.status.in_(["pending", "failed"]))


def ask_for(payment_id: str, now: datetime) -> None:
    """Have PSCloud asked for a payment that is held."""
    _ask(now, Payment.id == payment_id)


def _ask(now: datetime, which: ColumnElement[bool]) -> int:
    known = exists().where(UnaskedPayment.payment_id == Payment.id)
    ids = db.session.execute(select(Payment.id).where(which, ~known)).scalars().all()
    if ids:
        db.session.execute(insert(UnaskedPayment), [{"payment_id": one, "next_ask_at": now} for one in ids])
    return len(ids)


def unasked(now: datetime, limit: int) -> list[tuple[str, str, str]]:
    """(id, receipt number, status) of payments PSCloud is to be asked for now."""
    rows = db.session.execute(
        select(Payment.id, Payment.claimed_receipt_number, Payment.status)
        .join(UnaskedPayment, UnaskedPayment.payment_id == Payment.id)
        .where(UnaskedPayment.next_ask_at <= now)
        .order_by(Payment.id)
        .limit(limit)
    )
    return [(row[0], row[1], row[2]) for row in rows]


def anything_unasked(now: datetime) -> bool:
    """Whether PSCloud is to be asked for a payment now."""
    return bool(db.session.scalar(select(exists(select(UnaskedPayment.payment_id).where(UnaskedPayment.next_ask_at <= now)))))


def ask_later(at: datetime) -> None:
    """PSCloud did not answer: what is not asked yet waits until then."""
    db.session.execute(update(UnaskedPayment).values(next_ask_at=at))


def asked(payment_ids: Sequence[str]) -> None:
    """PSCloud was asked for these."""
    db.session.execute(delete(UnaskedPayment).where(UnaskedPayment.payment_id.in_(payment_ids)))
