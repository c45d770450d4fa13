"""Count and pesos of payments by what their list filters on, kept with every change: a million rows are never counted for a page.

Whoever changes the status of payments or voids one locks those rows first and calls here after; each of these takes the audit chain's lock
before it writes, so that two transactions never wait for each other's totals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Date,
    Executable,
    Select,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    text,
    union_all,
)
from sqlalchemy.dialects import postgresql, sqlite

from portal.domain.money import ZERO
from portal.extensions import db
from portal.store import audit
from portal.store.at_once import among
from portal.store.models import Payment, PaymentFlag, User, Void
from portal.store.money_tables import PaymentDayTotal, PaymentEverTotal, PaymentMonthTotal, PaymentTotal

NAMES = ("user_id", "business_date", "tender", "status", "void", "flags")
Key = tuple[int, date, str, str, str, str]
Sums = tuple[int, Decimal, Decimal]
NOTHING: Sums = (0, ZERO, ZERO)
NEVER = date.min
"""Stands for the day of what is added up over all time."""
LONG = timedelta(62)
"""Of more days than so many, whole months are in it."""


@dataclass(frozen=True, slots=True)
class Group:
    """Payments alike in status, void and whether they carry a flag. Pesos."""

    status: str
    void: str
    flagged: bool
    count: int
    amount: Decimal
    vat_amount: Decimal


# --- reading -------------------------------------------------------------------------------------------------------------


def read(
    since: date | None = None, until: date | None = None, user_id: int | None = None, tender: str = "", flag: str = "", void: str = ""
) -> list[Group]:
    """The payments from `since` to `until`, both included, of a collector, tender, flag (any, none or one) and void (none, requested,
    approved); empty = all of them."""
    query, values = asked(since, until, user_id, tender, flag, void)
    return told(db.session.connection().execute(query, values))


def told(rows: Iterable[Any]) -> list[Group]:
    """What the query of asked() found."""
    return [Group(status, state, bool(flagged), int(n), amount, vat) for status, state, flagged, n, amount, vat in rows if n]


def asked(
    since: date | None, until: date | None, user: int | str | None, tender: str, flag: str, void: str
) -> tuple[Select[Any], dict[str, Any]]:
    """What read() asks, and its values; `user` is the collector's id or name."""
    values: dict[str, Any] = {}
    span = "ever"
    if since or until:
        since, until = since or date.min, until or date.max
        values |= {"since": since, "until": until}
        span = "months" if user is None and until - since > LONG else "days"
        if span == "months":
            values["first"], values["last"] = (since + timedelta(31)).replace(day=1), until.replace(day=1)
    if user is not None:
        values["collector"] = user
    if tender:
        values["tender"] = tender
    if void:
        values["void"] = "" if void == "none" else void
    kind = flag if flag in ("", "any", "none") else "one"
    if kind == "one":
        values["flag"] = f"%,{flag.replace('_', chr(92) + '_')},%"
    return _groups("" if user is None else "id" if isinstance(user, int) else "name", span, bool(tender), kind, bool(void)), values


@cache
def _groups(one_user: str, span: str, tender: bool, flag: str, void: bool) -> Select[Any]:
    """Made once each: every page of the list asks. Of a long time whole months are added up, and the days before and after them."""
    since, until, first, last = (bindparam(name, type_=Date) for name in ("since", "until", "first", "last"))
    table: Any = PaymentTotal if one_user else PaymentDayTotal
    days, month = table.business_date, PaymentMonthTotal.month
    spans: dict[str, list[tuple[Any, tuple[ColumnElement[bool], ...]]]] = {
        "ever": [(PaymentEverTotal, () if one_user else (PaymentEverTotal.user_id == literal_column("-1"),))],
        "days": [(table, (days >= since, days <= until))],
        "months": [
            (PaymentMonthTotal, (month >= first, month < last)),
            (PaymentDayTotal, (days >= since, days < first)),
            (PaymentDayTotal, (days >= last, days <= until)),
        ],
    }
    named = select(User.id).where(User.name == bindparam("collector")).scalar_subquery()

    def part(source: Any, conditions: tuple[ColumnElement[bool], ...]) -> Select[*tuple[Any, ...]]:
        query = select(source.status, source.void, (source.flags != "").label("flagged"), source.count, source.amount, source.vat_amount)
        query = query.where(*conditions)
        if one_user:
            query = query.where(source.user_id == (named if one_user == "name" else bindparam("collector")))
        if tender:
            query = query.where(source.tender == bindparam("tender"))
        if void:
            query = query.where(source.void == bindparam("void"))
        if flag == "one":
            return query.where(source.flags.like(bindparam("flag"), escape="\\"))
        return query.where(source.flags != "") if flag == "any" else query.where(source.flags == "") if flag == "none" else query

    found = union_all(*(part(*one) for one in spans[span])).subquery()
    key = (found.c.status, found.c.void, found.c.flagged)
    return select(*key, func.sum(found.c.count), func.sum(found.c.amount), func.sum(found.c.vat_amount)).group_by(*key)


# --- keeping -------------------------------------------------------------------------------------------------------------


def booked(payments: Iterable[Mapping[str, Any]], flags: Iterable[Mapping[str, Any]]) -> None:
    """Add payments that were just inserted, with their flags."""
    of_payment = _flag_texts((row["payment_id"], row["flag"]) for row in flags)
    changes: dict[Key, Sums] = {}
    for row in payments:
        key = (row["user_id"], row["business_date"], row["tender"], row["status"], "", of_payment.get(row["id"], ""))
        _change(changes, key, 1, row["amount"], row["vat_amount"])
    _write(changes)


def moved(payment_ids: Sequence[str], was: str, status: str) -> None:
    """These payments had one status and have another now."""
    if not payment_ids or was == status:
        return
    changes: dict[Key, Sums] = {}
    audit.lock()
    for user_id, day, tender, _, void, flags, amount, vat in _facts(payment_ids):
        _change(changes, (user_id, day, tender, was, void, flags), -1, -amount, -vat)
        _change(changes, (user_id, day, tender, status, void, flags), 1, amount, vat)
    _write(changes)


def voided(payment_id: str, was: str, void: str) -> None:
    """The void of a payment was "", requested or approved and is another now."""
    if was == void:
        return
    changes: dict[Key, Sums] = {}
    audit.lock()
    for user_id, day, tender, status, _, flags, amount, vat in _facts([payment_id]):
        _change(changes, (user_id, day, tender, status, was, flags), -1, -amount, -vat)
        _change(changes, (user_id, day, tender, status, void, flags), 1, amount, vat)
    _write(changes)


Facts = tuple[int, date, str, str, str, str, Decimal, Decimal]


def facts_of(payment_ids: Sequence[str]) -> list[Facts]:
    """What the totals hold of these payments, for changed() after they were changed. Takes the lock that keeps it true until then."""
    audit.lock()
    return _facts(payment_ids)


def changed(before: Iterable[Facts], after: Iterable[Facts]) -> None:
    """Facts of payments were completed: their figures move from what they were to what they are."""
    changes: dict[Key, Sums] = {}
    for sign, rows in ((-1, before), (1, after)):
        for facts in rows:
            _change(changes, facts[:6], sign, sign * facts[6], sign * facts[7])
    _write(changes)


def _flag_texts(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for payment_id, flag in pairs:
        found.setdefault(payment_id, []).append(flag)
    return {payment_id: f",{','.join(sorted(flags))}," for payment_id, flags in found.items()}


def _facts(payment_ids: Sequence[str]) -> list[tuple[int, date, str, str, str, str, Decimal, Decimal]]:
    rows = []
    for start in range(0, len(payment_ids), 500):
        some = {"ids": list(payment_ids[start : start + 500])}
        flags = _flag_texts((row[0], row[1]) for row in db.session.execute(_FLAGS, some))
        voids = {row[0]: row[1] for row in db.session.execute(_VOIDS, some)}
        for payment_id, *facts, amount, vat in db.session.execute(_PAYMENTS, some):
            rows.append((*facts, voids.get(payment_id, ""), flags.get(payment_id, ""), amount, vat))
    return rows  # type: ignore[return-value]


_FLAGS = select(PaymentFlag.payment_id, PaymentFlag.flag).where(among(PaymentFlag.payment_id, "ids"))
_VOIDS = select(Void.payment_id, Void.state).where(among(Void.payment_id, "ids"), Void.state != "refused")
_PAYMENTS = select(
    Payment.id, Payment.user_id, Payment.business_date, Payment.tender, Payment.status, Payment.amount, Payment.vat_amount
).where(among(Payment.id, "ids"))


def _change(changes: dict[Key, Sums], key: Key, count: int, amount: Decimal, vat: Decimal) -> None:
    known = changes.get(key, NOTHING)
    changes[key] = (known[0] + count, known[1] + amount, known[2] + vat)


def _write(changes: Mapping[Key, Sums]) -> None:
    rows = [
        {**dict(zip(NAMES, key, strict=True)), "count": count, "amount": amount, "vat_amount": vat}
        for key, (count, amount, vat) in sorted(changes.items())
        if count or amount or vat
    ]
    if rows:
        audit.lock()
        db.session.execute(_upsert(db.engine.dialect.name), rows)


@cache
def _upsert(dialect: str) -> Executable:
    table: Any = PaymentTotal.__table__
    statement = (sqlite if dialect == "sqlite" else postgresql).insert(table)
    sums = {name: table.c[name] + statement.excluded[name] for name in ("count", "amount", "vat_amount")}
    found: Executable = statement.on_conflict_do_update(index_elements=list(NAMES), set_=sums)
    return found


# --- checking ------------------------------------------------------------------------------------------------------------

FLAG_TEXTS = {
    "sqlite": "SELECT payment_id, ',' || group_concat(flag, ',') || ',' AS flags FROM "
    "(SELECT payment_id, flag FROM payment_flags ORDER BY payment_id, flag) GROUP BY payment_id",
    "postgresql": "SELECT payment_id, ',' || string_agg(flag, ',' ORDER BY flag COLLATE \"C\") || ',' AS flags FROM payment_flags "
    "GROUP BY payment_id",
}
COUNTED = """
SELECT p.user_id, p.business_date, p.tender, p.status, coalesce(v.state, '') AS void, coalesce(f.flags, '') AS flags, count(*) AS count,
       sum(p.amount) AS amount, sum(p.vat_amount) AS vat_amount
FROM payments p LEFT JOIN voids v ON v.payment_id = p.id AND v.state <> 'refused' LEFT JOIN ({flags}) f ON f.payment_id = p.id
GROUP BY 1, 2, 3, 4, 5, 6
"""
"""What the payments themselves add up to. Reads every one of them."""


def rebuild() -> None:
    """Add everything up anew, in the current transaction."""
    # The first empties the others, but for what was wrong in them.
    for table in (PaymentTotal, PaymentDayTotal, PaymentMonthTotal, PaymentEverTotal):
        db.session.execute(delete(table))
    names = ", ".join((*NAMES, "count", "amount", "vat_amount"))
    db.session.execute(text(f"INSERT INTO payment_totals ({names}) {_counted()}"))


def _counted() -> str:
    return COUNTED.format(flags=FLAG_TEXTS[db.engine.dialect.name])


def wrong() -> list[tuple[str, Key]]:
    """Where the kept figures differ from what the payments themselves add up to, in which of the tables. Reads every payment."""
    real: dict[tuple[str, Key], Sums] = {}
    typed = text(_counted()).columns(*(getattr(PaymentTotal, name) for name in (*NAMES, "count", "amount", "vat_amount")))
    for *parts, count, amount, vat in db.session.execute(typed):
        user_id, day, *rest = parts
        places = {"all": (user_id, day), "day": (0, day), "month": (0, day.replace(day=1)), "ever": (user_id, NEVER)}
        for table, when in (*places.items(), ("ever", (-1, NEVER))):
            _change(real, (table, (*when, *rest)), count, amount, vat)  # type: ignore[arg-type]
    kept: dict[tuple[str, Key], Sums] = {}
    tables: dict[str, Any] = {"all": PaymentTotal, "day": PaymentDayTotal, "month": PaymentMonthTotal, "ever": PaymentEverTotal}
    for name, table in tables.items():
        for row in db.session.execute(select(*table.__table__.columns)):
            rest = list(row[:-3])
            key = rest if name == "all" else [rest[0], NEVER, *rest[1:]] if name == "ever" else [0, *rest]
            kept[name, cast(Key, tuple(key))] = cast(Sums, tuple(row[-3:]))
    return sorted(one for one in real.keys() | kept.keys() if real.get(one, NOTHING) != kept.get(one, NOTHING))
