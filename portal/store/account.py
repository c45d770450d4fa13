"""What happened to one account besides downloads from PSCloud: on whose phones it was, voids, refused postings. Reads only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import aliased

from portal.extensions import db
from portal.store.models import CodeHolding, Payment, SoaDownload, Terminal, User, Void


@dataclass(frozen=True, slots=True)
class PhoneDownload:
    """A phone got the list of somebody who held this collector code then. `snapshot` names the list (docs/phone-api.md)."""

    at: datetime
    terminal: str
    collector: str
    code: str
    snapshot: str


@dataclass(frozen=True, slots=True)
class VoidStep:
    """A void of one of the account's payments; pesos, instants in UTC, None for what has not happened. `state` as Void has it."""

    id: int
    receipt_number: str
    amount: Decimal
    state: str
    reason: str
    requested_at: datetime
    asked_by: str
    decided_at: datetime | None
    decided_by: str
    decision_reason: str
    posted_at: datetime | None


def downloads(codes: Iterable[str], limit: int = 400) -> list[PhoneDownload]:
    """Downloads to phones of people who held one of these codes at that moment, the latest first."""
    held = and_(
        CodeHolding.user_id == SoaDownload.user_id,
        CodeHolding.since <= SoaDownload.downloaded_at,
        or_(CodeHolding.until.is_(None), CodeHolding.until > SoaDownload.downloaded_at),
    )
    query = (
        select(SoaDownload.downloaded_at, Terminal.code, User.display_name, CodeHolding.code.label("held"), SoaDownload.snapshot)
        .join(CodeHolding, held)
        .join(Terminal, Terminal.id == SoaDownload.terminal_id)
        .join(User, User.id == SoaDownload.user_id)
        .where(CodeHolding.code.in_([code for code in codes if "\x00" not in code]))
        .order_by(SoaDownload.downloaded_at.desc(), SoaDownload.id.desc())
        .limit(limit)
    )
    return [PhoneDownload(*row) for row in db.session.execute(query)]


def voids(soa_id: str) -> list[VoidStep]:
    """Every void ever asked for of a payment on this SOA, the latest first."""
    asker, decider = aliased(User), aliased(User)
    query = (
        select(Void, Payment.claimed_receipt_number, Payment.amount, asker.display_name, decider.display_name)
        .join(Payment, Payment.id == Void.payment_id)
        .join(asker, asker.id == Void.user_id)
        .join(decider, decider.name == Void.decided_by, isouter=True)
        .where(Payment.soa_id == soa_id)
        .order_by(Void.id.desc())
    )
    return [
        VoidStep(
            void.id,
            receipt,
            amount,
            void.state,
            void.reason,
            void.requested_at,
            asked,
            void.decided_at,
            decided or void.decided_by or "",
            void.decision_reason,
            void.posted_at,
        )
        for void, receipt, amount, asked, decided in db.session.execute(query)
    ]


def refused_at(soa_id: str) -> dict[str, datetime]:
    """When PSCloud refused each of the account's payments that stands refused, by payment."""
    query = select(Payment.id, Payment.status_at).where(Payment.soa_id == soa_id, Payment.status == "failed")
    return {row[0]: row[1] for row in db.session.execute(query)}
