"""Collector codes: who holds them, what is collected under them, which SOAs have none that we know. Never commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import case, delete, func, insert, select, update

from portal.domain.money import ZERO
from portal.extensions import db
from portal.store.models import CodeHolding, CollectorCode, Soa, User


@dataclass(frozen=True, slots=True)
class Holder:
    """A person who holds a code, and since when."""

    user_name: str
    display_name: str
    since: datetime


@dataclass(frozen=True, slots=True)
class CodeRow:
    """One code with its active SOAs; money in pesos. `shared`: several people hold it, so an account may be collected twice."""

    code: str
    name: str
    area: str
    active: bool
    source: str
    holders: list[Holder]
    accounts: int
    amount_due: Decimal
    overdue_accounts: int
    overdue_amount: Decimal

    @property
    def shared(self) -> bool:
        """Whether more than one person holds it."""
        return len(self.holders) > 1


@dataclass(frozen=True, slots=True)
class UnknownCodeRow:
    """Active SOAs under a code that is on no list, or under none (`code` None)."""

    code: str | None
    accounts: int
    amount_due: Decimal


@dataclass(frozen=True, slots=True)
class Listed:
    """A code as PSCloud lists it."""

    code: str
    name: str
    area: str
    active: bool


def overview(today: date) -> list[CodeRow]:
    """Every code, by code."""
    overdue = Soa.due_date < today
    sums = {
        row.collector_code: row
        for row in db.session.execute(
            select(
                Soa.collector_code,
                func.count().label("accounts"),
                func.sum(Soa.amount_due).label("amount_due"),
                func.sum(case((overdue, 1), else_=0)).label("overdue_accounts"),
                func.sum(case((overdue, Soa.amount_due), else_=ZERO)).label("overdue_amount"),
            )
            .where(Soa.status == "active", Soa.collector_code.is_not(None))
            .group_by(Soa.collector_code)
        )
    }
    holders: dict[str, list[Holder]] = {}
    for code, name, display_name, since in db.session.execute(
        select(CodeHolding.code, User.name, User.display_name, CodeHolding.since)
        .join(User, User.id == CodeHolding.user_id)
        .where(CodeHolding.until.is_(None))
        .order_by(CodeHolding.since, CodeHolding.id)
    ):
        holders.setdefault(code, []).append(Holder(name, display_name, since))
    rows = []
    for listed in db.session.scalars(select(CollectorCode)):
        found = sums.get(listed.code)
        rows.append(
            CodeRow(
                listed.code,
                listed.name,
                listed.area,
                listed.active,
                listed.source,
                holders.get(listed.code, []),
                found.accounts if found else 0,
                found.amount_due if found else ZERO,
                int(found.overdue_accounts) if found else 0,
                found.overdue_amount if found else ZERO,
            )
        )
    return sorted(rows, key=lambda row: row.code)


def without_known_code(today: date) -> list[UnknownCodeRow]:
    """Active SOAs that no listed code covers, those without any code first."""
    rows = db.session.execute(
        select(Soa.collector_code, func.count(), func.sum(Soa.amount_due))
        .where(Soa.status == "active")
        .where(Soa.collector_code.is_(None) | Soa.collector_code.not_in(select(CollectorCode.code)))
        .group_by(Soa.collector_code)
    )
    return sorted((UnknownCodeRow(code, count, amount or ZERO) for code, count, amount in rows), key=lambda row: row.code or "")


def known_codes() -> list[str]:
    """Every code on the list, in order."""
    return sorted(db.session.scalars(select(CollectorCode.code)))


def source_of(code: str) -> str | None:
    """`pscloud` or `own`; None when the code is on no list."""
    return db.session.scalar(select(CollectorCode.source).where(CollectorCode.code == code))


def use(code: str) -> tuple[int, int]:
    """(people who hold the code now, active SOAs under it)."""
    held = db.session.scalar(select(func.count()).select_from(CodeHolding).where(CodeHolding.code == code, CodeHolding.until.is_(None)))
    under = db.session.scalar(select(func.count()).select_from(Soa).where(Soa.collector_code == code, Soa.status == "active"))
    return held or 0, under or 0


def add(code: str, name: str, area: str, now: datetime) -> None:
    """A code of our own. Raises IntegrityError when it is on the list."""
    db.session.execute(insert(CollectorCode).values(code=code, name=name, area=area, active=True, source="own", updated_at=now))


def remove(code: str) -> bool:
    """Take a code off the list; False when it was not on it."""
    return int(db.session.execute(delete(CollectorCode).where(CollectorCode.code == code)).rowcount) == 1  # type: ignore[attr-defined]


def refresh(listed: Sequence[Listed], now: datetime) -> None:
    """Take over PSCloud's list: new codes come in, changed ones are rewritten, those it lists no more become inactive. A code of
    our own that PSCloud lists too becomes PSCloud's."""
    stored = {code.code: code for code in db.session.scalars(select(CollectorCode))}
    wanted = {one.code: one for one in listed}
    for code, one in wanted.items():
        row = stored.get(code)
        if row is None:
            values = {"code": code, "name": one.name, "area": one.area, "active": one.active, "source": "pscloud", "updated_at": now}
            db.session.execute(insert(CollectorCode).values(**values))
        elif (row.name, row.area, row.active, row.source) != (one.name, one.area, one.active, "pscloud"):
            row.name, row.area, row.active, row.source, row.updated_at = one.name, one.area, one.active, "pscloud", now
    gone = [code for code, row in stored.items() if row.source == "pscloud" and row.active and code not in wanted]
    if gone:
        db.session.execute(update(CollectorCode).where(CollectorCode.code.in_(gone)).values(active=False, updated_at=now))
