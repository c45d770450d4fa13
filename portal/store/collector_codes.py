"""Collector codes: who holds them, what is collected under them, which SOAs have none that we know. Never commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import case, delete, func, insert, select, update

from portal.domain.money import ZERO
from portal.extensions import db
from portal.store.models import CodeHolding, CollectorCode, SoaTotal, User


@dataclass(frozen=True, slots=True)
class Holder:
    """A person who holds a code, since when and, in its history, until when. Who may not log in (`active`) downloads nothing."""

    user_id: int
    user_name: str
    display_name: str
    active: bool
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Sums:
    """Open SOAs in figures; money in pesos."""

    accounts: int = 0
    amount_due: Decimal = ZERO
    today_accounts: int = 0
    today_amount: Decimal = ZERO
    overdue_accounts: int = 0
    overdue_amount: Decimal = ZERO

    def __add__(self, other: Sums) -> Sums:
        """Both together."""
        return Sums(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Sums)))


@dataclass(frozen=True, slots=True)
class CodeRow:
    """One code with its open SOAs. `shared`: several people who may log in hold it, so an account may be collected twice."""

    code: str
    name: str
    area: str
    active: bool
    source: str
    holders: list[Holder]
    sums: Sums

    @property
    def shared(self) -> bool:
        """Whether more than one person downloads it."""
        return sum(holder.active for holder in self.holders) > 1

    @property
    def unheld(self) -> bool:
        """Whether nobody downloads it."""
        return not any(holder.active for holder in self.holders)


@dataclass(frozen=True, slots=True)
class UnassignedRow:
    """Open SOAs with something wrong about their code: `why` is `none` (they carry none), `unknown` (it is on no list) or `unheld` (nobody
    who may log in holds it). `downloadable`: somebody holds it all the same."""

    code: str | None
    why: str
    downloadable: bool
    sums: Sums


@dataclass(frozen=True, slots=True)
class Listed:
    """A code as PSCloud lists it."""

    code: str
    name: str
    area: str
    active: bool


def codes_on_soas() -> list[str]:
    """Every code that an open SOA carries or carried, "" for no code: one look into the index for each, however many SOAs there are."""
    active = SoaTotal.status == "active"
    codes = select(func.min(SoaTotal.collector_code).label("code")).where(active).cte("codes", recursive=True)
    onward = select(func.min(SoaTotal.collector_code)).where(active, SoaTotal.collector_code > codes.c.code).scalar_subquery()
    codes = codes.union_all(select(onward).where(codes.c.code.is_not(None)))
    return [code for code in db.session.scalars(select(codes.c.code)) if code is not None]


def stuck(today: date) -> Sums:
    """The open SOAs that nobody can download: those without a code, and those whose code no collector who may log in holds."""
    held = {code for code, people in holders_now().items() if any(one.active for one in people)}
    return sum(sums_by_code(today, [code for code in codes_on_soas() if code not in held]).values(), Sums())


def sums_by_code(today: date, codes: Sequence[str] | None = None) -> dict[str, Sums]:
    """The open SOAs of each of these codes, by default of every code that any carries, on a list or not; "" is no code."""
    total = SoaTotal
    due_today, overdue = total.due_date == today, total.due_date < today
    query = (
        select(
            total.collector_code,
            func.sum(total.count),
            func.sum(total.amount_due),
            func.sum(case((due_today, total.count), else_=0)),
            func.sum(case((due_today, total.amount_due), else_=ZERO)),
            func.sum(case((overdue, total.count), else_=0)),
            func.sum(case((overdue, total.amount_due), else_=ZERO)),
        )
        .where(total.status == "active")
        .group_by(total.collector_code)
    )
    if codes is not None:
        query = query.where(total.collector_code.in_(codes))
    found = {}
    for code, accounts, amount, today_accounts, today_amount, overdue_accounts, overdue_amount in db.session.execute(query):
        if accounts:
            found[code] = Sums(int(accounts), amount, int(today_accounts), today_amount, int(overdue_accounts), overdue_amount)
    return found


def holders_now() -> dict[str, list[Holder]]:
    """Who holds each code now, whoever has it longest first."""
    found: dict[str, list[Holder]] = {}
    for code, *holder in db.session.execute(_holders().where(CodeHolding.until.is_(None)).order_by(CodeHolding.since, CodeHolding.id)):
        found.setdefault(code, []).append(Holder(*holder))
    return found


def holders_ever(code: str, limit: int = 200) -> list[Holder]:
    """Who holds or held a code, the latest first."""
    query = _holders().where(CodeHolding.code == code).order_by(CodeHolding.since.desc(), CodeHolding.id.desc()).limit(limit)
    return [Holder(*holder) for _, *holder in db.session.execute(query)]


def _holders() -> Any:
    return select(CodeHolding.code, User.id, User.name, User.display_name, User.active, CodeHolding.since, CodeHolding.until).join(
        User, User.id == CodeHolding.user_id
    )


def board(today: date) -> tuple[list[CodeRow], list[UnassignedRow]]:
    """Every code on the list, by code; and the open SOAs that nobody can download or whose code is on no list, the former first."""
    sums, holders = sums_by_code(today), holders_now()
    codes = [
        CodeRow(one.code, one.name, one.area, one.active, one.source, holders.get(one.code, []), sums.get(one.code, Sums()))
        for one in sorted(db.session.scalars(select(CollectorCode)), key=lambda one: one.code)
    ]
    listed, held = {row.code for row in codes}, {code for code, people in holders.items() if any(one.active for one in people)}
    wrong = []
    for code, own in sums.items():
        if code not in listed or code not in held:
            why = "none" if not code else "unknown" if code not in listed else "unheld"
            wrong.append(UnassignedRow(code or None, why, code in held, own))
    return codes, sorted(wrong, key=lambda row: (row.downloadable, row.code or ""))


def overview(today: date) -> list[CodeRow]:
    """Every code on the list, by code."""
    return board(today)[0]


def unassigned(today: date) -> list[UnassignedRow]:
    """Open SOAs that nobody can download or whose code is on no list."""
    return board(today)[1]


def find(code: str, today: date) -> CodeRow | None:
    """One code of the list, or one that SOAs carry or people hold without its being on it (`source` empty); None when nobody knows it."""
    listed = db.session.get(CollectorCode, code, populate_existing=True)
    sums, holders = sums_by_code(today, [code]).get(code), holders_now().get(code, [])
    if listed is None and sums is None and not holders_ever(code, 1):
        return None
    about = ("", "", False, "") if listed is None else (listed.name, listed.area, listed.active, listed.source)
    return CodeRow(code, *about, holders, sums or Sums())


_CODES = select(CollectorCode.code)


def known_codes() -> list[str]:
    """Every code on the list, in order."""
    return sorted(row[0] for row in db.session.connection().execute(_CODES))


def source_of(code: str) -> str | None:
    """`pscloud` or `own`; None when the code is on no list."""
    return db.session.scalar(select(CollectorCode.source).where(CollectorCode.code == code))


def use(code: str) -> tuple[int, int]:
    """(people who hold the code now, active SOAs under it)."""
    held = db.session.scalar(select(func.count()).select_from(CodeHolding).where(CodeHolding.code == code, CodeHolding.until.is_(None)))
    under = db.session.scalar(select(func.sum(SoaTotal.count)).where(SoaTotal.collector_code == code, SoaTotal.status == "active"))
    return held or 0, int(under or 0)


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
