"""Codes that supervisors gave for voids, and what became of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, select, update

from portal.extensions import db
from portal.store.models import Payment, Terminal, User, Void
from portal.store.void_code_tables import VoidCode, VoidCodeUse


@dataclass(frozen=True, slots=True)
class CodeRow:
    """A code that was given; `outcome` of the void that carried it, when one did. Pesos."""

    id: int
    user_id: int
    user: str
    terminal_id: int
    terminal: str
    void_number: str
    amount: Decimal
    challenge: str
    secret: bytes
    issued_at: datetime
    revoked_at: datetime | None
    void_id: int | None


def _rows(*conditions: object) -> list[CodeRow]:
    query = (
        select(VoidCode, User.name, Terminal.code, VoidCodeUse.void_id)
        .join(User, User.id == VoidCode.user_id)
        .join(Terminal, Terminal.id == VoidCode.terminal_id)
        .outerjoin(VoidCodeUse, VoidCodeUse.code_id == VoidCode.id)
        .where(*conditions)  # type: ignore[arg-type]
        .order_by(VoidCode.id.desc())
        .limit(100)
    )
    return [
        CodeRow(
            code.id,
            code.user_id,
            name,
            code.terminal_id,
            terminal,
            code.void_number,
            code.amount,
            code.challenge,
            code.secret,
            code.issued_at,
            code.revoked_at,
            void_id,
        )
        for code, name, terminal, void_id in db.session.execute(query.execution_options(populate_existing=True))
    ]


def add(user_id: int, terminal_id: int, void_number: str, amount: Decimal, challenge: str, secret: bytes, now: datetime) -> int:
    """Keep a code that is given now; its id."""
    code = VoidCode(
        user_id=user_id,
        terminal_id=terminal_id,
        void_number=void_number,
        amount=amount,
        challenge=challenge,
        secret=secret,
        issued_at=now,
    )
    db.session.add(code)
    db.session.flush()
    return code.id


def get(code_id: int) -> CodeRow | None:
    """One code, or None."""
    return next(iter(_rows(VoidCode.id == code_id)), None)


def lock(code_id: int) -> None:
    """Hold a code until the transaction ends: it cannot be revoked while it is used, nor used while it is revoked."""
    db.session.execute(select(VoidCode.id).where(VoidCode.id == code_id).with_for_update()).all()


def lock_named(terminal_id: int, void_numbers: Iterable[str]) -> None:
    """Hold the codes given for these voids of a terminal, before the audit chain is held: who takes one back locks in that order too."""
    query = select(VoidCode.id).where(VoidCode.terminal_id == terminal_id, VoidCode.void_number.in_(sorted(set(void_numbers))))
    db.session.execute(query.order_by(VoidCode.id).with_for_update()).all()


def for_void(terminal_id: int, void_number: str, amount: Decimal, challenge: str) -> list[CodeRow]:
    """The codes given for exactly this, the newest first."""
    facts = (VoidCode.void_number == void_number, VoidCode.amount == amount, VoidCode.challenge == challenge)
    return _rows(VoidCode.terminal_id == terminal_id, *facts)


def open_of(user_id: int) -> list[CodeRow]:
    """The codes somebody gave that no void carried yet and that are not revoked, the newest first."""
    return _rows(VoidCode.user_id == user_id, VoidCode.revoked_at.is_(None), VoidCodeUse.void_id.is_(None))


def revoke(code_id: int, now: datetime) -> None:
    """Take a code back."""
    db.session.execute(update(VoidCode).where(VoidCode.id == code_id).values(revoked_at=now))


def add_use(void_id: int, terminal_id: int, code_id: int | None, outcome: str, now: datetime) -> None:
    """Note what became of the code that came with a void. UNIQUE on void and code settles two at once."""
    db.session.add(VoidCodeUse(void_id=void_id, terminal_id=terminal_id, code_id=code_id, outcome=outcome, received_at=now))
    db.session.flush()


def count_wrong(terminal_id: int, since: datetime) -> int:
    """How many wrong codes came from a terminal since then."""
    query = select(func.count()).where(
        VoidCodeUse.terminal_id == terminal_id, VoidCodeUse.outcome == "wrong", VoidCodeUse.received_at > since
    )
    return db.session.execute(query).scalar_one()


def outcome_of(void_id: int) -> str:
    """What became of the code that a void carried; empty when it carried none."""
    return db.session.execute(select(VoidCodeUse.outcome).where(VoidCodeUse.void_id == void_id)).scalar() or ""


def payments_of(terminal_id: int, amount: Decimal) -> list[tuple[str, str, str, int, datetime]]:
    """(payment, receipt number, customer, collector's user id, collected at) of a terminal's payments of this amount, newest first,
    without those whose void waits or is approved."""
    undone = select(Void.payment_id).where(Void.payment_id == Payment.id, Void.state != "refused").exists()
    query = (
        select(Payment.id, Payment.claimed_receipt_number, Payment.customer_name, Payment.user_id, Payment.collected_at)
        .where(Payment.terminal_id == terminal_id, Payment.amount == amount, ~undone)
        .order_by(Payment.journal_seq.desc())
        .limit(1000)
    )
    return [(row[0], row[1], row[2], row[3], row[4]) for row in db.session.execute(query)]
