"""The payment list: its pages by keyset, its totals from the kept ones, the same on SQLite and PostgreSQL over a million payments.

Its order is that of business dates, newest first, then of arrival. Statements are made once for each kind of question: making one takes
longer than answering it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Executable,
    Select,
    and_,
    bindparam,
    exists,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    tuple_,
)
from sqlalchemy.orm import aliased

from portal.domain.money import ZERO
from portal.domain.payments import FLAGS, STATUSES, TENDERS
from portal.extensions import db
from portal.store import payment_totals, search
from portal.store.models import Payment, PaymentFlag, Soa, Terminal, User, Void

UNPOSTED = ("approved", "processing", "failed")
"""Statuses of payments that are to be posted and are not in PSCloud yet."""
ORDER = ("business_date", "received_at", "claimed_receipt_number", "id")
NEAR = 4_000
"""Payments of its order in which PostgreSQL looks for a page of a text first."""
NUMBERED_BY_HAND = ("unassigned_account", "number_quarantined")
"""Flags of payments that neither their SOA nor their receipt number may lead to."""


@dataclass(frozen=True, slots=True)
class PaymentFilter:
    """What the payment list shows; empty = all. Dates are business dates, `collector` a user name; `status` may also be `unposted`:
    UNPOSTED and not voided; `flag` any, none, or one of them."""

    date_from: date | None = None
    date_to: date | None = None
    collector: str = ""
    tender: str = ""
    status: str = ""
    flag: str = ""
    q: str = ""
    void: str = ""


class PaymentRow(NamedTuple):
    """One payment in a list. Money in pesos, instants in UTC; `void` is `requested` or `approved` when one waits or is, else empty. A
    tuple: a page makes fifty of them."""

    id: str
    receipt_number: str
    collected_at: datetime
    received_at: datetime
    business_date: date
    customer_name: str
    account_number: str
    soa_id: str
    soa_number: str
    collector_name: str
    collector_display: str
    terminal: str
    tender: str
    channel: str | None
    reference: str | None
    amount: Decimal
    status: str
    status_reason: str
    flags: tuple[str, ...]
    posted_at: datetime | None
    pscloud_id: str | None
    void: str
    status_at: datetime


@dataclass(frozen=True, slots=True)
class PaymentPage:
    """One page of a list; `next` and `previous` are cursors or None."""

    rows: list[PaymentRow]
    next: str | None
    previous: str | None


@dataclass(frozen=True, slots=True)
class PaymentTotals:
    """Totals of a filter: pesos, but `count` and `held` are numbers of payments. What is voided stands in `count` and `voided` alone.
    `statuses` counts the payments of each status, the filter's own status left out."""

    count: int
    active_collection: Decimal
    synced_payments: Decimal
    vat_amount: Decimal
    held: int
    voided: Decimal
    statuses: dict[str, int]


# --- what is asked -------------------------------------------------------------------------------------------------------


class _Where(NamedTuple):
    """What kind of conditions a filter makes; their values come apart from it. `driver` is the column whose index begins the way, and
    `picked` that few payments are asked for, so that finding and sorting them is quicker than following the list's order."""

    since: bool
    until: bool
    collector: bool
    tender: str
    status: str
    flag: str
    void: str
    text: _Text | None
    driver: str
    picked: bool


class _Text(NamedTuple):
    """The shape of a search: what search.ask() found, and how many receipt numbers the text may be."""

    match: bool
    likes: int
    begins: tuple[str, ...]
    words: int
    numbers: int
    reference: bool


def _asked(wanted: PaymentFilter, user_id: int | None = None) -> tuple[_Where, dict[str, Any]]:
    """The kind of the filter's conditions, and their values; `user_id` is the collector's where it is known already."""
    values: dict[str, Any] = {}
    if wanted.date_from:
        values["since"] = wanted.date_from
    if wanted.date_to:
        values["until"] = wanted.date_to
    if wanted.collector:
        values["user_id"] = user_id or _user_id(wanted.collector)
    text, words = _text(wanted.q) if wanted.q else (None, {})
    picked = text is not None and (text.match or bool(text.begins) or text.likes == 0)
    tender = wanted.tender if wanted.tender in TENDERS else ""
    status = wanted.status if wanted.status in (*STATUSES, "unposted") else ""
    flag = wanted.flag if wanted.flag in ("any", "none", *FLAGS) else ""
    void = wanted.void if wanted.void in ("none", "requested", "approved") else ""
    driver = ""
    if text is None and db.engine.dialect.name == "sqlite":
        driver, picked = _way(wanted, values.get("user_id"), tender, status, flag, void)
    where = _Where(bool(wanted.date_from), bool(wanted.date_to), bool(wanted.collector), tender, status, flag, void, text, driver, picked)
    return where, {**values, **words}


FEW = 3_000
"""Flagged or voided payments up to which SQLite fetches and sorts them all; of more, following the order finds a page sooner."""


def _way(wanted: PaymentFilter, user_id: int | None, tender: str, status: str, flag: str, void: str) -> tuple[str, bool]:
    """SQLite does not know how many rows a condition lets through; the kept totals do. The column whose index holds the fewest, and
    whether what is flagged or voided is so little that it is fetched first."""

    def count(of_status: str = "", **only: Any) -> int:
        groups = payment_totals.read(wanted.date_from, wanted.date_to, **only)
        return sum(group.count for group in _with_status(groups, of_status))

    if (flag and flag != "none" and count(flag=flag) <= FEW) or (void in ("requested", "approved") and count(void=void) <= FEW):
        return "", True
    chosen: dict[str, Any] = {"tender": tender if tender != "cash" else "", "user_id": user_id, "status": status}
    names = [name for name, given in chosen.items() if given]
    if len(names) < 2:
        return (names[0] if names else ""), False
    sizes = {name: count(status) if name == "status" else count(**{name: chosen[name]}) for name in names}
    return min(names, key=lambda name: sizes[name]), False


def _with_status(groups: list[payment_totals.Group], status: str) -> list[payment_totals.Group]:
    if status == "unposted":
        return [group for group in groups if group.status in UNPOSTED and group.void != "approved"]
    return [group for group in groups if group.status == status] if status else groups


_USER_ID = select(User.id).where(User.name == bindparam("name"))


def _user_id(name: str) -> int:
    """0, which nobody has, for a name nobody has."""
    return db.session.connection().execute(_USER_ID, {"name": name}).scalar_one_or_none() or 0


def _text(typed: str) -> tuple[_Text, dict[str, Any]]:
    """Payments whose SOA holds every word that was typed; whose receipt is the number that was typed, or whose reference begins so; and of
    those that neither SOA nor number lead to, the ones that hold every word themselves."""
    asked = search.ask(typed)
    folded = [word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for word in typed.replace("\x00", "").split()]
    one = typed.strip() if len(typed.split()) == 1 else ""
    values: dict[str, Any] = {**asked.values, **{f"word{place}": f"%{word}%" for place, word in enumerate(folded)}}
    numbers = _receipts(one)
    values |= {f"receipt{place}": number for place, number in enumerate(numbers)}
    if one:
        values |= {"reference_from": one.lower(), "reference_to": one.lower() + search.LAST}
    return _Text(bool(asked.match), len(asked.likes), tuple(name for name, _ in asked.begins), len(folded), len(numbers), bool(one)), values


_CODES = select(Terminal.code)


def _receipts(typed: str) -> list[str]:
    """The receipt numbers a text may be: whole, or its digits alone on any terminal."""
    code, hyphen, digits = typed.upper().rpartition("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 8):
        return []
    codes = [code] if hyphen else list(db.session.execute(_CODES).scalars())
    return [f"{one}-{digits.zfill(8)}" for one in codes]


# --- conditions ----------------------------------------------------------------------------------------------------------


def _column(name: str, driver: str, sqlite: bool) -> ColumnElement[Any]:
    column: ColumnElement[Any] = getattr(Payment, name).expression
    return search.unindexed(column) if sqlite and driver and driver != name else column


def _conditions(where: _Where, sqlite: bool) -> list[ColumnElement[bool]]:
    """`driver` is only named on SQLite, so that the others are hidden from it there."""
    hidden = "picked" if where.picked else where.driver
    found: list[ColumnElement[bool]] = []
    day = search.unindexed(Payment.business_date.expression) if sqlite and where.picked else Payment.business_date.expression
    if where.since:
        found.append(day >= bindparam("since"))
    if where.until:
        found.append(day <= bindparam("until"))
    if where.collector:
        found.append(_column("user_id", hidden, sqlite) == bindparam("user_id"))
    if where.tender:
        tender = _column("tender", hidden, sqlite)
        found.append(tender == literal_column(f"'{where.tender}'"))
        if where.tender != "cash":  # said in so many words, so that the index without cash is used
            found.append(tender != literal_column("'cash'"))
    status = _column("status", hidden, sqlite)
    if where.status == "unposted":
        found += [status.in_([literal_column(f"'{one}'") for one in UNPOSTED]), not_(_void("approved"))]
    elif where.status:
        found.append(status == literal_column(f"'{where.status}'"))
    found += _flagged(where) + _voided(where)
    if where.text is not None:
        found.append(_holds(where.text, where.picked, sqlite))
    return found


def _void(state: str = "") -> ColumnElement[bool]:
    query = exists().where(Void.payment_id == Payment.id, Void.state != literal_column("'refused'"))
    return query.where(Void.state == literal_column(f"'{state}'")) if state else query


def _flagged(where: _Where) -> list[ColumnElement[bool]]:
    if not where.flag:
        return []
    if where.picked and where.flag != "none":
        some = select(PaymentFlag.payment_id)
        return [Payment.id.in_(some if where.flag == "any" else some.where(PaymentFlag.flag == literal_column(f"'{where.flag}'")))]
    query = exists().where(PaymentFlag.payment_id == Payment.id)
    if where.flag == "none":
        return [~query]
    return [query if where.flag == "any" else query.where(PaymentFlag.flag == literal_column(f"'{where.flag}'"))]


def _voided(where: _Where) -> list[ColumnElement[bool]]:
    if not where.void:
        return []
    if where.void == "none":
        return [~_void()]
    if where.picked:
        return [Payment.id.in_(select(Void.payment_id).where(Void.state == literal_column(f"'{where.void}'")))]
    return [_void(where.void)]


def _holds(text: _Text, picked: bool, sqlite: bool, of: Any = Payment) -> ColumnElement[bool]:
    if not text.words:
        return false()
    soa = search.conditions(text.match, text.likes, text.begins) if text.likes or text.match or text.begins else []
    if text.begins and "account_number" in text.begins:
        soa.append(Soa.status.in_(search.STATUSES))
    reference = func.lower(of.reference)
    low: BindParameter[str] = bindparam("reference_from")
    high: BindParameter[str] = bindparam("reference_to")
    begins = and_(reference >= low, reference < high) if sqlite else and_(reference.op("~>=~")(low), reference.op("~<~")(high))
    receipts = of.receipt_number.in_([bindparam(f"receipt{place}") for place in range(text.numbers)])
    itself = and_(*(_own(f"word{place}", of) for place in range(text.words)))
    by_hand = PaymentFlag.flag.in_([literal_column(f"'{flag}'") for flag in NUMBERED_BY_HAND])
    if not picked:
        own = of.soa_id.expression if sqlite else of.soa_id.collate("C")
        parts: list[ColumnElement[bool]] = [exists().where(Soa.id == own, *soa)] if soa else []
        parts += [receipts] if text.numbers else []
        parts += [begins] if text.reference else []
        return or_(*parts, and_(exists().where(PaymentFlag.payment_id == of.id, by_hand), itself))
    mine = aliased(Payment)
    found: list[Select[Any]] = [
        select(Payment.id).join(PaymentFlag, PaymentFlag.payment_id == Payment.id).where(by_hand, itself).correlate(None)
    ]
    if soa:
        # Columns of two collations are compared with neither's index.
        soa_id = Soa.id.expression if sqlite else Soa.id.collate("default")
        found.append(select(mine.id).where(mine.soa_id.in_(select(soa_id).where(*soa))))
    if text.numbers:
        found.append(select(Payment.id).where(receipts).correlate(None))
    if text.reference:
        found.append(select(Payment.id).where(begins).correlate(None))
    return Payment.id.in_(found[0].union_all(*found[1:]) if len(found) > 1 else found[0])


def _own(name: str, of: Any) -> ColumnElement[bool]:
    columns = (of.customer_name, of.account_number, of.soa_number, of.claimed_receipt_number, of.reference)
    return or_(*(column.ilike(bindparam(name), escape="\\") for column in columns))


# --- rows ----------------------------------------------------------------------------------------------------------------


@cache
def flag_list(sqlite: bool, of: Any = Payment) -> ColumnElement[str]:
    """The flags of a payment of the statement around it, in one text with commas, in any order."""
    joined = func.group_concat if sqlite else func.string_agg
    return select(joined(PaymentFlag.flag, literal_column("','"))).where(PaymentFlag.payment_id == of.id).scalar_subquery()


STORED = (
    "id", "claimed_receipt_number", "collected_at", "received_at", "business_date", "customer_name", "account_number", "soa_id",
    "soa_number", "tender", "channel", "reference", "amount", "status", "status_reason", "posted_at", "pscloud_id", "status_at", "user_id",
    "terminal_id",
)  # fmt: skip


def _columns(sqlite: bool, of: Any = Payment) -> list[Any]:
    void = select(Void.state).where(Void.payment_id == of.id, Void.state != literal_column("'refused'")).scalar_subquery()
    return [*(getattr(of, name) for name in STORED), flag_list(sqlite, of).label("flags"), void.label("void")]


def _whole(chosen: Select[Any], downwards: bool, ordered: tuple[str, ...] = ORDER) -> Select[Any]:
    """The chosen payments with the names of their collectors and terminals, which are looked up for them alone."""
    found = chosen.subquery("found")
    c = found.c
    return (
        select(
            c.id, c.claimed_receipt_number, c.collected_at, c.received_at, c.business_date, c.customer_name, c.account_number, c.soa_id,
            c.soa_number, User.name, User.display_name, Terminal.code, c.tender, c.channel, c.reference, c.amount, c.status,
            c.status_reason, c.flags, c.posted_at, c.pscloud_id, c.void, c.status_at,
        )
        .join(User, User.id == c.user_id)
        .join(Terminal, Terminal.id == c.terminal_id)
        .order_by(*(c[name].desc() if downwards else c[name] for name in ordered))
    )  # fmt: skip


def _row(row: Any) -> PaymentRow:
    # By place: by name takes three times as long.
    *facts, flags, posted_at, pscloud_id, void, status_at = row
    return PaymentRow._make((*facts, tuple(sorted(flags.split(","))) if flags else (), posted_at, pscloud_id, void or "", status_at))


@lru_cache(1024)
def _page(where: _Where, sqlite: bool, marked: bool, downwards: bool, limit: int, near: bool) -> Executable:
    order = [getattr(Payment, name).expression for name in ORDER]
    if sqlite and where.picked:
        order[0] = search.unindexed(order[0])
    mark = tuple_(*(bindparam(f"mark_{name}", type_=column.type) for name, column in zip(ORDER, order, strict=True)))
    query = select(*_columns(sqlite)).where(*_conditions(where._replace(text=None) if near else where, sqlite))
    if marked:
        key = tuple_(*order)
        query = query.where(key < mark if downwards else key > mark)
    query = query.order_by(*(column.desc() if downwards else column.asc() for column in order))
    if near and where.text is not None:
        # With all their columns: to look each up again would take as long as finding them.
        whole = query.with_only_columns(*Payment.__table__.columns, maintain_column_froms=True)
        some = whole.limit(literal_column(str(NEAR))).subquery("near")
        of = aliased(Payment, some)
        query = select(*_columns(sqlite, of)).where(_holds(where.text, False, sqlite, of))
        query = query.order_by(*(some.c[name].desc() if downwards else some.c[name] for name in ORDER))
    return _whole(query.limit(literal_column(str(limit))), downwards)


def list_page(
    wanted: PaymentFilter, after: str | None = None, before: str | None = None, limit: int = 50, user_id: int | None = None
) -> PaymentPage:
    """One page, newest business date first, of one date what arrived last, receipts of one upload in their order. A broken cursor means the
    first page. `user_id` is the collector's, where it is known already."""
    later, earlier = _read_cursor(before), _read_cursor(after)
    mark, downwards = later or earlier, not later
    where, values = _asked(wanted, user_id)
    values |= {f"mark_{name}": value for name, value in zip(ORDER, mark, strict=True)} if mark else {}
    rows = _some(where, values, mark is not None, downwards, limit + 1)
    more = len(rows) > limit
    rows = rows[:limit]
    if later:
        rows.reverse()
        return PaymentPage(rows, _cursor(rows[-1]) if rows else None, _cursor(rows[0]) if more else None)
    return PaymentPage(rows, _cursor(rows[-1]) if more else None, _cursor(rows[0]) if earlier and rows else None)


def _some(where: _Where, values: dict[str, Any], marked: bool, downwards: bool, limit: int) -> list[PaymentRow]:
    sqlite, connection = db.engine.dialect.name == "sqlite", db.session.connection()
    if not sqlite and where.text is not None and where.text.likes:
        # PostgreSQL cannot guess that a text is common: a page of one is among the next rows of the order.
        near = connection.execute(_page(where, sqlite, marked, downwards, limit, True), values).all()
        if len(near) == limit:
            return [_row(row) for row in near]
        where = where._replace(picked=True)
    return [_row(row) for row in connection.execute(_page(where, sqlite, marked, downwards, limit, False), values).all()]


def _cursor(row: PaymentRow) -> str:
    mark = [row.business_date.isoformat(), row.received_at.isoformat(), row.receipt_number, row.id]
    return base64.urlsafe_b64encode(json.dumps(mark).encode()).decode()


def _read_cursor(text: str | None) -> tuple[date, datetime, str, str] | None:
    if not text:
        return None
    try:
        day, at, number, payment_id = json.loads(base64.urlsafe_b64decode(text))
        instant = datetime.fromisoformat(at)
        mark = (date.fromisoformat(day), instant.astimezone(UTC), str(number), str(payment_id))
    except (ValueError, TypeError, RecursionError, OverflowError):
        return None
    return mark if instant.tzinfo and mark[2].isprintable() and mark[3].isprintable() else None


def iterate(wanted: PaymentFilter) -> Iterator[PaymentRow]:
    """Every payment of a filter, in receipt order per terminal, a few hundred in memory at a time."""
    where, values = _asked(wanted)
    sqlite = db.engine.dialect.name == "sqlite"
    chosen = select(*_columns(sqlite)).where(*_conditions(where, sqlite))
    query = _whole(chosen, False, ("claimed_receipt_number", "id"))
    for row in db.session.execute(query, values, execution_options={"yield_per": 500}):
        yield _row(row)


def of_ids(payment_ids: list[str]) -> list[PaymentRow]:
    """These payments, newest business date first."""
    sqlite = db.engine.dialect.name == "sqlite"
    chosen = select(*_columns(sqlite)).where(Payment.id.in_(payment_ids))
    return [_row(row) for row in db.session.execute(_whole(chosen, True))]


def of_soa(soa_id: str) -> list[PaymentRow]:
    """The payments of one SOA, newest arrival first."""
    sqlite = db.engine.dialect.name == "sqlite"
    chosen = select(*_columns(sqlite)).where(Payment.soa_id == soa_id)
    rows = [_row(row) for row in db.session.execute(_whole(chosen, True))]
    return sorted(sorted(rows, key=lambda row: row.id), key=lambda row: row.received_at, reverse=True)


# --- totals --------------------------------------------------------------------------------------------------------------


def totals(wanted: PaymentFilter) -> PaymentTotals:
    """Totals of a filter: kept ones, but of a text, whose payments are added up."""
    return totals_of(_added_up(wanted) if wanted.q else _kept(wanted), wanted.status)


def totals_of(groups: list[payment_totals.Group], status: str) -> PaymentTotals:
    """Totals of payments of all statuses, of which those of `status` are asked for; empty = all."""
    counts = dict.fromkeys(STATUSES, 0)
    for group in groups:
        counts[group.status] += group.count
    chosen = _with_status(groups, status)
    good = [group for group in chosen if group.void != "approved"]
    return PaymentTotals(
        sum(group.count for group in chosen),
        sum((group.amount for group in good), ZERO),
        sum((group.amount for group in good if group.status == "completed"), ZERO),
        sum((group.vat_amount for group in good), ZERO),
        sum(group.count for group in good if group.status == "pending" and group.flagged),
        sum((group.amount for group in chosen if group.void == "approved"), ZERO),
        counts,
    )


def totals_of_page(wanted: PaymentFilter, page: PaymentPage) -> PaymentTotals | None:
    """Totals of a text, which nobody has added up beforehand, when `page` is all of it; None when all that hold the text would have to be
    read first."""
    if page.next or page.previous or wanted.status:
        return None
    rows = [
        payment_totals.Group(row.status, row.void, bool(row.flags), 1, row.amount, vat)
        for row, vat in zip(page.rows, _vat_of(page.rows), strict=True)
    ]
    return totals_of(rows, "")


def _vat_of(rows: list[PaymentRow]) -> list[Decimal]:
    query = select(Payment.id, Payment.vat_amount).where(Payment.id.in_([row.id for row in rows]))
    found = {row[0]: row[1] for row in db.session.execute(query)} if rows else {}
    return [found[row.id] for row in rows]


def _kept(wanted: PaymentFilter) -> list[payment_totals.Group]:
    user_id = _user_id(wanted.collector) if wanted.collector else None
    return payment_totals.told(db.session.connection().execute(*kept_by(wanted, user_id)))


def kept_by(wanted: PaymentFilter, user: int | str | None) -> tuple[Select[Any], dict[str, Any]]:
    """What asks the kept totals for all that this filter lets through, whatever its status, and the values; `user` is its collector's id or
    name. Its text, which nobody adds up beforehand, is left out."""
    tender = wanted.tender if wanted.tender in TENDERS else ""
    flag = wanted.flag if wanted.flag in ("any", "none", *FLAGS) else ""
    void = wanted.void if wanted.void in ("none", "requested", "approved") else ""
    return payment_totals.asked(wanted.date_from, wanted.date_to, user, tender, flag, void)


def _added_up(wanted: PaymentFilter) -> list[payment_totals.Group]:
    where, values = _asked(replace(wanted, status=""))
    return [
        payment_totals.Group(status, void, bool(flagged), count, amount, vat)
        for status, void, flagged, count, amount, vat in db.session.execute(_sums(where, db.engine.dialect.name == "sqlite"), values)
    ]


@lru_cache(256)
def _sums(where: _Where, sqlite: bool) -> Executable:
    picked = where if sqlite else where._replace(picked=True)
    state = select(Void.state).where(Void.payment_id == Payment.id, Void.state != literal_column("'refused'")).scalar_subquery()
    flagged = exists().where(PaymentFlag.payment_id == Payment.id)
    some = (
        select(
            Payment.status, func.coalesce(state, literal_column("''")).label("void"), flagged.label("flagged"), Payment.amount,
            Payment.vat_amount,
        )
        .where(*_conditions(picked, sqlite))
        .subquery()
    )  # fmt: skip
    key = (some.c.status, some.c.void, some.c.flagged)
    return select(*key, func.count(), func.sum(some.c.amount), func.sum(some.c.vat_amount)).group_by(*key)


def collectors() -> list[tuple[str, str]]:
    """(name, display name) of everybody who ever collected."""
    return [(name, display) for name, display in db.session.connection().execute(_COLLECTORS)]


_COLLECTORS = select(User.name, User.display_name).where(exists().where(Payment.user_id == User.id)).order_by(User.display_name)
